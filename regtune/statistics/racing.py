"""Racing: seeds go to the comparisons with the baseline that are not resolved yet, and looking often does not cheat.

Scores are looked at after fixed numbers of seeds, each about 1.4 times the one before. The error of a comparison
is split over these looks in proportion to the seeds that each adds (linear alpha spending, and the union bound
over looks in place of a joint distribution). So min over looks of p / share is a valid p-value whenever one stops
and for whatever reason, as long as the paired t-test of each single look is; nothing is assumed of how looks or
comparisons hang together, and small samples are not taken for normal ones. Holm's procedure on these p-values
decides as it does without racing. Boundaries from the joint normal distribution (K. K. G. Lan and D. L. DeMets,
1983) would spend the error more closely; for a t-test after 5 seeds they hold only approximately.
Intervals are repeated confidence intervals (C. Jennison and B. W. Turnbull, 1989) by the same split.

A race may be over searches: then every look adds the variance over searches of a difference to that of its mean, as
`comparisons` does. It is known at the first look, and no further seed makes it smaller. It is an estimate by the few
seeds of the rivals, and the more seeds come the more of what an error in it does is left bare: so here the noise of
these seeds is not taken off it (with it taken off, equal arms got a verdict in up to 14 % of made-up sweeps with 20
seeds at most and 30 % with 40; see `benchmarks/racing.py`). A comparison that it alone keeps unresolved at all looks
to come is held: it gets no more seeds. That spends no error, since the p-value holds whenever one stops.

Each look waits for all its trials, so what comes next is a function of the scores and not of who was faster.
Means after racing lean outward: a comparison stops when it looks large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regtune.core.header import ConfirmRecord
from regtune.statistics.comparisons import Comparison, compare_pair, holm, p_value, why_not
from regtune.statistics.intervals import mean_of, sd_of
from regtune.statistics.paired import paired_differences

GROWTH = 1.4
FAR = 0.05  # chance that a mean comes to lie further out than it is taken to before its pair is given up
# By arm and number of the seed, None for a trial that ended without a score; None for an arm that is not confirmed.
Ended = Mapping[str, Mapping[int, float | None] | None]
# By arm the variance over searches of its mean difference (see `searches.Searches`), NaN where it is not known; None
# for a race about the configurations found.
Beyond = Mapping[str, float] | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """A pair at a look, an interim analysis: its differences, the look's share, and (p / share, sign) of all looks.

    `beyond` is the variance of its mean that the differences do not show.
    """

    differences: NDArray[np.float64]
    share: float
    past: tuple[tuple[float, float], ...]
    beyond: float = 0.0

    @property
    def p(self) -> float:
        """The sequential p-value; a look whose mean pointed the other way than now does not count."""
        if not self.past or math.isnan(self.past[-1][0]):
            return math.nan
        return min(1.0, *(p for p, sign in self.past if sign == self.past[-1][1]), 1.0)

    def after(self, differences: NDArray[np.float64], share: float, beyond: float) -> Look:
        """Return the pair at the next look."""
        sign = float(np.sign(differences.mean())) if len(differences) else 0.0
        past = (*self.past, (p_value(differences, beyond) / share, sign))
        return Look(differences=differences, share=share, past=past, beyond=beyond)


NOTHING = Look(differences=np.empty(0), share=1.0, past=())


@dataclass(frozen=True, kw_only=True)
class Race:
    """The terms of a race: `first` seeds for every arm, `most` at most; the first arm is the baseline.

    `level` is the confidence of all verdicts together.
    """

    first: int
    most: int
    level: float = 0.95

    @classmethod
    def of(cls, confirm: ConfirmRecord) -> Race | None:
        """Return the race that a sweep asks for; None for none."""
        return None if confirm.first is None else cls(first=confirm.first, most=confirm.seeds)

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

    def seeds(self, ended: Ended, beyond: Beyond = None) -> dict[str, int]:
        """Return how many seeds each arm is to have by what has ended so far; with more ended it never shrinks.

        An arm that is not confirmed gets none, and its comparison counts among the others.
        """
        return self._run(ended, beyond)[0]

    def held(self, ended: Ended, beyond: Beyond = None) -> list[str]:
        """Return the arms that get no more seeds though they are not resolved: no number of them would do."""
        return self._run(ended, beyond)[2]

    def compare(self, ended: Ended, beyond: Beyond = None) -> dict[str, Comparison]:
        """Return for each arm its comparison (arm - baseline) after racing, in the words of `comparisons.compare`.

        Each is of the newest look that all trials of the pair have reached; p is the sequential p-value.
        """
        newest = self._run(ended, beyond)[1]
        alpha, adjusted = 1 - self.level, holm({arm: look.p for arm, look in newest.items()})
        return {
            arm: compare_pair(
                look.differences,
                p=look.p,
                p_holm=adjusted[arm],
                interval_alpha=alpha * look.share / len(newest),
                family_alpha=alpha,
                beyond=look.beyond,
            )
            for arm, look in newest.items()
        }

    def _run(self, ended: Ended, beyond: Beyond) -> tuple[dict[str, int], dict[str, Look], list[str]]:
        """Go from look to look as far as trials have ended.

        Return the seeds asked for, each pair's newest look, and the arms that are held.
        """
        baseline, *others = ended
        seeds = {arm: self.looks[0] for arm, scores in ended.items() if scores is not None}
        newest, held = dict.fromkeys(others, NOTHING), list[str]()
        if baseline not in seeds:
            return seeds, newest, held
        racing = [arm for arm in others if arm in seeds]
        for place, (count, share) in enumerate(zip(self.looks, self.shares, strict=True)):
            if not all(number in (ended[arm] or {}) for arm in (baseline, *racing) for number in range(count)):
                break
            scores = {arm: _first(ended[arm] or {}, count) for arm in (baseline, *racing)}
            for arm, values in paired_differences(scores, baseline).items():
                over = 0.0 if beyond is None else beyond.get(arm, math.nan)
                newest[arm] = newest[arm].after(np.asarray(values, dtype=float), share, over)
            adjusted = holm({arm: look.p for arm, look in newest.items()})
            racing = [arm for arm in racing if not adjusted[arm] <= 1 - self.level]
            if not racing or place + 1 == len(self.looks):
                break
            ahead = [*zip(self.looks, self.shares, strict=True)][place + 1 :]
            left, beside = {arm: newest[arm] for arm in racing}, sum(arm not in seeds for arm in others) + len(held)
            held += futile_pairs(left, ahead, alpha=1 - self.level, beside=beside)
            racing = [arm for arm in racing if arm not in held]
            if not racing:
                break
            seeds |= dict.fromkeys((baseline, *racing), self.looks[place + 1])
        return seeds, newest, held


def _first(scores: Mapping[int, float | None], count: int) -> dict[int, float]:
    """Return the scores of the first so many seeds."""
    return {number: score for number, score in scores.items() if score is not None and number < count}


def futile_pairs(
    left: Mapping[str, Look], ahead: Sequence[tuple[int, float]], *, alpha: float, beside: int = 0
) -> list[str]:
    """Return which pairs that are `left` the variance over searches alone keeps unresolved at all looks `ahead`.

    These are numbers of seeds, each with its share of the error `alpha`. `beside` counts other pairs that stay
    unresolved: each, and each that is found, makes Holm's procedure stricter with the rest.
    """
    found = list[str]()
    while more := [
        arm
        for arm, look in left.items()
        if arm not in found and not _may(look, ahead, alpha / (1 + beside + len(found)))
    ]:
        found += more
    return found


def _may(look: Look, ahead: Sequence[tuple[int, float]], alpha: float) -> bool:
    """Return whether a pair could be resolved now or at a look ahead, were its mean as far out as it may come to lie.

    By then it moves as means of more values of this spread do (Student's t), and nothing but the variance over searches
    is left of its error: where that is 0 anything may be, and where it is not known nothing.
    """
    if math.isnan(look.beyond):
        return False
    if not look.beyond or why_not(look.differences) or look.p <= alpha:
        return True
    n, mean = len(look.differences), abs(mean_of(look.differences))
    out = float(stats.t.ppf(1 - FAR, n - 1)) * sd_of(look.differences)
    return any(
        mean + out * math.sqrt(1 / n - 1 / count)
        >= float(stats.t.ppf(1 - alpha * share / 2, count - 1)) * math.sqrt(look.beyond)
        for count, share in ahead
    )
