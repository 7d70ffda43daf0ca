"""Select: the best few configurations of each arm, trained again on further seeds before one of them is chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from regtune.core.halving import Score, Selection, join_number, split_number
from regtune.core.metric import ACCURACY, METRICS, Metric
from regtune.core.records import Outcome, Status, Trial, TrialKey
from regtune.core.selection import Choices, Scored, choose, near_of, rank, score_of
from regtune.search.scheduler import PlannedScheduler, Suggestion
from regtune.search.search import SearchScheduler, TrialState
from regtune.sweep.sweep import Sweep


class SelectScheduler(PlannedScheduler):
    """Hands out what `halving.pick` asks for, seed by seed; `planned` grows from round to round.

    The trials are as those of search, on seeds (and, where confirm has them, splits) of their own that all arms
    share. The n-th search trial on the k-th further seed has the number that `halving.join_number` gives. `params` has
    the knobs of the search trials of each arm by number.
    """

    def __init__(self, sweep: Sweep, search: SearchScheduler) -> None:
        super().__init__()
        self.sweep, self._metric = sweep, METRICS[sweep.search.metric]
        self.params = {
            arm: {number: entry.params for number, entry in scheduler.entries.items()}
            for arm, scheduler in search.arms.items()
        }
        self._selected: dict[str, dict[int, Score]] = {arm: {} for arm in search.arms}
        finishes = sweep.pruner.finishes
        self.scored = Scored(
            searched={
                arm: best_first(scheduler.entries, finishes, self._metric) for arm, scheduler in search.arms.items()
            },
            selected=self._selected,
            selection=Selection.of(sweep.recorded),
            can_be_off=[arm.name for arm in sweep.arms if sweep.can_be_off(arm)],
            near=near_of(self.params[sweep.baseline], len(sweep.arms[0].first))
            if sweep.search.sampler == "paired"
            else {},
            first={arm.name: len(arm.first) for arm in sweep.arms},
        )
        self.plan(in_turns(self.choices.needed))

    @property
    def choices(self) -> Choices:
        """What is chosen so far."""
        return choose(self.scored)

    def chosen(self) -> dict[str, Mapping[str, Any]]:
        """Return the knobs that confirm takes of each arm that has a choice of its own."""
        found = self.choices
        return {arm: self.params[arm][number] for arm, number in found.numbers.items() if arm not in found.off}

    def at(self, key: TrialKey) -> Suggestion:
        """Return a search trial on one of the seeds of select."""
        number, k = split_number(key.number)
        params = self.params[key.arm][number]
        trial = self.sweep.arm(key.arm).trial(params, seed=self.sweep.select_seed(k), phase="search")
        return Suggestion(key, on_its_split(self.sweep, trial), params)

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is of select, and of a search trial that there is."""
        if key.phase != "select" or self.scored.selection is None or key.arm not in self.params:
            return False
        number, seed = split_number(key.number)
        return number in self.params[key.arm] and seed < self.scored.selection.seeds

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out; search may have gone on since."""
        super().asked_before(asked)
        self.plan([asked.key])

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of a score; a round that is over plans the next."""
        self._selected[key.arm][key.number] = score_of(outcome.status, outcome.metrics, self._metric)
        self.plan(in_turns(self.choices.needed))


def on_its_split(sweep: Sweep, trial: Trial) -> Trial:
    """Return a trial of select or confirm on the split that belongs to its seed, where splits are fresh."""
    if sweep.confirm.splits == "one":
        return trial
    return dataclasses.replace(trial, data={**trial.data, "split_seed": trial.seed})


def in_turns(needed: Mapping[str, list[tuple[int, int]]]) -> Iterable[TrialKey]:
    """Yield the trial keys of select that are needed; arms take turns: what all of them need first comes first."""
    for k in range(max(map(len, needed.values()), default=0)):
        for arm, mine in needed.items():
            if k < len(mine):
                yield TrialKey(arm, "select", join_number(*mine[k]))


def best_first(
    entries: Mapping[int, TrialState], finishes: Collection[Status], metric: Metric = ACCURACY
) -> list[tuple[int, Score]]:
    """Return the search trials of an arm that ended well, in one of these ways, the best first.

    By the best value of the metric on validation examples at the kept epoch among unpruned trials, or, where the pruner
    stops all of them after the same epochs, among all: at the epoch kept by then. Ties go to the lower loss, then to
    the lower number.
    """
    ended = [n for n, e in entries.items() if e.outcome and e.outcome.status in finishes]
    found = [(number, *_kept(entries[number], metric)) for number in ended]
    best = sorted(found, key=lambda each: rank(each[1], each[2], each[0]))
    return [(number, Score(score, loss)) for number, score, loss in best]


def _kept(entry: TrialState, metric: Metric) -> tuple[float, float | None]:
    """Return score and validation loss at the epoch that a trial kept."""
    if entry.outcome is not None and entry.outcome.status == "ok":
        return metric.score(entry.outcome.metrics.get(metric.val)), entry.outcome.metrics["val_loss"]
    return entry.scores[-1], entry.loss
