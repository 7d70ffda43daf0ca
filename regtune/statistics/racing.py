"""Racing: seeds go to the comparisons with the baseline that are not resolved yet, and looking often does not cheat.

Scores are looked at after fixed numbers of seeds, each about 1.4 times the one before. The error of a comparison
is split over these looks in proportion to the seeds that each adds (linear alpha spending, and the union bound
over looks in place of a joint distribution). So min over looks of p / share is a valid p-value whenever one stops
and for whatever reason, as long as the paired t-test of each single look is; nothing is assumed of how looks or
comparisons hang together, and small samples are not taken for normal ones. Holm's procedure on these p-values
decides as it does without racing. Boundaries from the joint normal distribution (K. K. G. Lan and D. L. DeMets,
1983) would spend the error more closely; for a t-test after 5 seeds they hold only approximately.
Intervals are repeated confidence intervals (C. Jennison and B. W. Turnbull, 1989) by the same split.

Each look waits for all its trials, so what comes next is a function of the scores and not of who was faster.
Means after racing lean outward: a comparison stops when it looks large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regtune.records import Plain
from regtune.statistics.comparisons import Comparison, comparison, holm, p_value
from regtune.statistics.pairs import against

GROWTH = 1.4
# By arm and number of the seed, None for a trial that ended without a score; None for an arm that is not confirmed.
Ended = Mapping[str, Mapping[int, float | None] | None]


@dataclass(frozen=True, kw_only=True)
class Race:
    """The terms of a race: `first` seeds for every arm, `most` at most; the first arm is the baseline.

    `level` is the confidence of all verdicts together.
    """

    first: int
    most: int
    level: float = 0.95

    @classmethod
    def of(cls, confirm: Plain) -> Race | None:
        """Return the race that the `[confirm]` of a sweep asks for, as the sweep or a log has it; None for none."""
        return cls(first=confirm["first"], most=confirm["seeds"]) if confirm.get("racing") else None

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds after which scores are looked at."""
        found = [min(self.first, self.most)]
        while found[-1] < self.most:
            after = math.ceil(GROWTH * found[-1])
            # A last step that adds little costs a share of the error and tells nothing.
            found.append(after if GROWTH * after < self.most * 1.2 else self.most)
        return tuple(found)

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The share of the error that each look may spend; they add up to 1."""
        return tuple((after - before) / self.most for before, after in pairwise((0, *self.looks)))

    def seeds(self, ended: Ended) -> dict[str, int]:
        """Return how many seeds each arm is to have by what has ended so far; with more ended it never shrinks.

        An arm that is not confirmed gets none, and its comparison counts among the others.
        """
        return self._run(ended)[0]

    def compare(self, ended: Ended) -> dict[str, Comparison]:
        """Return for each arm its comparison (arm - baseline) after racing, in the words of `comparisons.compare`.

        Each is of the newest look that all trials of the pair have reached; p is the sequential p-value.
        """
        newest = self._run(ended)[1]
        alpha, adjusted = 1 - self.level, holm({arm: look.p for arm, look in newest.items()})
        return {
            arm: comparison(
                look.differences,
                p=look.p,
                p_holm=adjusted[arm],
                interval_alpha=alpha * look.share / len(newest),
                family_alpha=alpha,
            )
            for arm, look in newest.items()
        }

    def _run(self, ended: Ended) -> tuple[dict[str, int], dict[str, _Look]]:
        """Go from look to look as far as trials have ended; return the seeds asked for and each pair's newest look."""
        baseline, *others = ended
        seeds = {arm: self.looks[0] for arm, scores in ended.items() if scores is not None}
        newest = dict.fromkeys(others, _NOTHING)
        if baseline not in seeds:
            return seeds, newest
        racing = [arm for arm in others if arm in seeds]
        for place, (count, share) in enumerate(zip(self.looks, self.shares, strict=True)):
            if not all(number in (ended[arm] or {}) for arm in (baseline, *racing) for number in range(count)):
                break
            scores = {arm: _first(ended[arm] or {}, count) for arm in (baseline, *racing)}
            for arm, values in against(scores, baseline).items():
                newest[arm] = newest[arm].after(np.asarray(values, dtype=float), share)
            adjusted = holm({arm: look.p for arm, look in newest.items()})
            racing = [arm for arm in racing if not adjusted[arm] <= 1 - self.level]
            if not racing or place + 1 == len(self.looks):
                break
            seeds |= dict.fromkeys((baseline, *racing), self.looks[place + 1])
        return seeds, newest


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A pair at a look: its differences so far, the share of this look, and (p / share, sign) of all looks."""

    differences: NDArray[np.float64]
    share: float
    past: tuple[tuple[float, float], ...]

    @property
    def p(self) -> float:
        """The sequential p-value; a look whose mean pointed the other way than now does not count."""
        if not self.past or math.isnan(self.past[-1][0]):
            return math.nan
        return min(1.0, *(p for p, sign in self.past if sign == self.past[-1][1]), 1.0)

    def after(self, differences: NDArray[np.float64], share: float) -> _Look:
        """Return the pair at the next look."""
        sign = float(np.sign(differences.mean())) if len(differences) else 0.0
        return _Look(differences=differences, share=share, past=(*self.past, (p_value(differences) / share, sign)))


_NOTHING = _Look(differences=np.empty(0), share=1.0, past=())


def _first(scores: Mapping[int, float | None], count: int) -> dict[int, float]:
    """Return the scores of the first so many seeds."""
    return {number: score for number, score in scores.items() if score is not None and number < count}
