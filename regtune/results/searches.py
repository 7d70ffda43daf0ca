"""What other searches might have chosen in place of this one, and how much the differences vary with the choice.

In each resampled search the arm and the baseline have chosen some trials (`resampling.pairs`). What those score
against each other on the same few confirm seeds gives the variance over searches. Tables ask here, and so does a race
that is under way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from regtune.core.halving import join_number, split_number
from regtune.core.header import SweepRecord
from regtune.core.records import BAD_ENDS, Json
from regtune.core.resampling import draws, pairs, rival_seeds, rivals
from regtune.core.selection import Choices, Scored

ENDED = ("ok", *BAD_ENDS)
# By arm and search trial, and then by the number of the confirm seed; only of trials that ended well.
Scores = dict[tuple[str, int], dict[int, float]]


@dataclass(frozen=True, kw_only=True)
class Searches:
    """The searches that this one is a draw of, for verdicts over them.

    `scored` is what they are drawn from, `choices` what this one chose; `paired` and `stream` are those of
    `resampling.draws`. Rivals are confirmed on the first `seeds` seeds.
    """

    scored: Scored
    choices: Choices
    paired: bool
    stream: str
    seeds: int

    @classmethod
    def of(cls, sweep: SweepRecord, scored: Scored, choices: Choices) -> Searches | None:
        """Return those of a sweep as its header has it; None where verdicts are about the configuration found."""
        if not sweep.confirm.over_searches:
            return None
        return cls(
            scored=scored,
            choices=choices,
            paired=sweep.paired,
            stream=f"{sweep.search.stream or sweep.name}/{sweep.seed}",
            seeds=rival_seeds(sweep.confirm.seeds, sweep.confirm.first),
        )

    @cached_property
    def draws(self) -> list[Choices]:
        """What resampled searches choose; nothing before this one has chosen."""
        return [] if self.choices.is_open else draws(self.scored, paired=self.paired, stream=self.stream)

    @cached_property
    def rivals(self) -> dict[str, list[int]]:
        """The search trials of each arm that are confirmed beside its choice, see `resampling.rivals`."""
        return rivals(self.draws, self.choices)

    def open_in(self, rows: Iterable[Json]) -> bool:
        """Return whether rivals are still to be chosen or trained, by the rows of `loader.Results.trials`."""
        if self.choices.is_open:
            return True
        ended = {(row["arm"], row["number"]) for row in rows if row["phase"] == "rivals" and row["status"] in ENDED}
        return any(
            (arm, join_number(number, seed)) not in ended
            for arm, mine in self.rivals.items()
            for number in mine
            for seed in range(self.seeds)
        )

    def beyond(
        self, rows: Sequence[Json], metric: str, arms: Sequence[str], *, corrected: bool = True
    ) -> dict[str, float]:
        """Return the `variances` by a column of these rows; NaN while rivals are still to be trained."""
        found: Scores = {}
        for row in rows:
            if row["phase"] not in ("confirm", "rivals") or row["status"] != "ok" or row[metric] is None:
                continue
            mine = self.choices.numbers.get(row["arm"], -1), row["number"]
            number, seed = split_number(row["number"]) if row["phase"] == "rivals" else mine
            if not math.isnan(row[metric]):
                found.setdefault((row["arm"], number), {})[seed] = float(row[metric])
        variances = self.variances(arms, found, corrected=corrected)
        return dict.fromkeys(variances, math.nan) if self.open_in(rows) else variances

    def variances(self, arms: Sequence[str], scores: Scores, *, corrected: bool = True) -> dict[str, float]:
        """Return by arm the variance over searches of its mean difference to the first of `arms`.

        Only the seeds that rivals have count. NaN where fewer than two of them ended well for all, and where there was
        no choice. Arms that are off have none; choices that were made too seldom to be confirmed are left out.
        `corrected` is that of `search_variance`; a race takes them as they are, see `statistics.racing`.
        """
        baseline, *others = arms
        return {arm: self._of(scores, arm, baseline, corrected) for arm in others if arm not in self.choices.off}

    def _of(self, scores: Scores, arm: str, baseline: str, corrected: bool) -> float:
        from regtune.statistics.search_variance import search_variance  # its room loads scipy, which costs time

        known = {name: {self.choices.numbers.get(name), *self.rivals.get(name, [])} for name in (arm, baseline)}
        counts = {
            pair: count
            for pair, count in pairs(self.draws, arm, baseline).items()
            if pair is None or (pair[0] in known[arm] and pair[1] in known[baseline])
        }
        mine = [scores.get(key, {}) for pair in counts if pair for key in ((arm, pair[0]), (baseline, pair[1]))]
        seeds = sorted(set.intersection(set(range(self.seeds)), *map(set, mine))) if mine else []
        # A rival that failed is no reason to be surer, and of a single candidate nothing can be seen.
        if len(seeds) < 2 or not (self._several(arm) and self._several(baseline)):
            return math.nan
        rows = [
            [scores[arm, pair[0]][seed] - scores[baseline, pair[1]][seed] if pair else 0.0 for seed in seeds]
            for pair in counts
        ]
        return search_variance(list(counts.values()), rows, corrected=corrected)

    def _several(self, arm: str) -> bool:
        """Return whether the choice of an arm was one among several."""
        selection = self.scored.selection
        return selection is not None and len(selection.finalists(self.scored.searched.get(arm, []))) > 1
