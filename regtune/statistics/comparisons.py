"""Paired comparisons of several arms at once: simultaneous intervals, Holm's p-values, verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regtune.core.metric import Direction
from regtune.statistics.intervals import constant, half_width, mean_of, sd_of
from regtune.statistics.paired import Preference, Scores, paired_differences, preference
from regtune.statistics.power import further_seeds

Verdict = Literal["better", "worse", "unresolved", "off is as good"]
FEWEST = 3  # seeds below which no p-value and no verdict is given
NOT_KNOWN = "the spread over searches is not known"
Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A paired difference with its simultaneous interval, p as it is and Holm-adjusted, and the verdict.

    `sd` is that of the differences (n - 1), `beyond` the variance of the mean that they do not show, as that over
    searches, `alpha` the probability with which this interval alone may miss, `better` is P(first better) over the
    same pairs. NaN where the data allow no interval or no p; `note` then says why.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float
    p_holm: float
    verdict: Verdict
    alpha: float
    note: str
    better: Preference
    beyond: float = 0.0

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.sd**2 / self.n + self.beyond)

    @property
    def further(self) -> float:
        """How many more seeds would resolve what is unresolved, see `power.further_seeds`; NaN where resolved, and
        where seeds are not all that the mean depends on.
        """
        if self.verdict != "unresolved" or self.note:
            return math.nan
        return further_seeds(n=self.n, mean=self.mean, sd=self.sd, alpha=self.alpha) if not self.beyond else math.nan


def compare(
    differences: Mapping[Key, Sequence[float]], *, level: float = 0.95, beyond: Mapping[Key, float] | None = None
) -> dict[Key, Comparison]:
    """Compare pairs of arms, each given by its paired differences (first - second) over the same seeds.

    Verdicts are Holm's on paired t-tests: the chance of rejecting any true equality is at most
    1 - level (S. Holm, 1979); the sign is that of the mean. Intervals are Bonferroni's, simultaneous at
    `level` as long as none is cut: where Holm resolves what Bonferroni alone would not, the interval is
    cut at 0, so that verdict and interval always agree ("better" if it lies above 0, "worse" if below,
    else "unresolved"). Together they hold with at least 1 - 2 (1 - level), the union bound. Fewer than
    three differences, or differences that are all equal, resolve nothing and get no interval and no p; they
    count among the comparisons all the same.

    `beyond` has for some a variance of their mean beyond what the differences show, which is added to that of the mean
    (NaN where it should be there and is not known: then there is no interval and no p either).
    """
    more = beyond or {}
    arrays = {key: np.asarray(values, dtype=float) for key, values in differences.items()}
    ps = {key: p_value(array, more.get(key, 0.0)) for key, array in arrays.items()}
    adjusted, each = holm(ps), (1 - level) / max(len(arrays), 1)
    return {
        key: compare_pair(
            array,
            p=ps[key],
            p_holm=adjusted[key],
            interval_alpha=each,
            family_alpha=1 - level,
            beyond=more.get(key, 0.0),
        )
        for key, array in arrays.items()
    }


def compare_pair(
    array: NDArray[np.float64],
    *,
    p: float,
    p_holm: float,
    interval_alpha: float,
    family_alpha: float,
    beyond: float = 0.0,
) -> Comparison:
    """Return what is said of one pair, given its p-values, what its own interval may miss and what the family may."""
    mean, note = mean_of(array), why_not(array, beyond)
    half = half_width(array, interval_alpha, beyond) if not note else math.nan
    low, high = mean - half, mean + half
    verdict: Verdict = "unresolved"
    if p_holm <= family_alpha:
        verdict = "better" if mean > 0 else "worse"
        low, high = (max(low, 0.0), high) if mean > 0 else (low, min(high, 0.0))
    return Comparison(
        n=len(array),
        mean=mean,
        sd=sd_of(array),
        low=low,
        high=high,
        p=p,
        p_holm=p_holm,
        verdict=verdict,
        alpha=interval_alpha,
        note=note,
        better=preference(array),
        beyond=beyond,
    )


def why_not(array: NDArray[np.float64], beyond: float = 0.0) -> str:
    """Return why differences allow no test; empty where they allow one."""
    if len(array) < FEWEST:
        return f"fewer than {FEWEST} pairs"
    if constant(array):
        return "all differences are equal" if array.any() else "identical scores"
    return NOT_KNOWN if math.isnan(beyond) else ""


def p_value(array: NDArray[np.float64], beyond: float = 0.0) -> float:
    """Return the two-sided p-value of a paired t-test; NaN where the data allow none.

    With a variance of the mean `beyond` theirs it is of Student's t by the same degrees of freedom all the same: few
    seeds are what its estimate rests on too.
    """
    if why_not(array, beyond):
        return math.nan
    if not beyond:
        return float(stats.ttest_1samp(array, 0.0).pvalue)
    t = mean_of(array) / math.sqrt(sd_of(array) ** 2 / len(array) + beyond)
    return float(2 * stats.t.sf(abs(t), len(array) - 1))


def holm(ps: Mapping[Key, float]) -> dict[Key, float]:
    """Return Holm's adjusted p-values; a p that is NaN stays so, and counts as 1 for the others."""
    from statsmodels.stats.multitest import multipletests  # costs a second at start-up, so only here

    if not ps:
        return {}
    adjusted = multipletests([1.0 if math.isnan(p) else p for p in ps.values()], method="holm")[1]
    return {key: math.nan if math.isnan(p) else float(a) for (key, p), a in zip(ps.items(), adjusted, strict=True)}


def compare_with(
    scores: Scores,
    baseline: str,
    *,
    better: Direction,
    level: float = 0.95,
    beyond: Mapping[str, float] | None = None,
) -> dict[str, Comparison]:
    """Compare each other arm with the baseline over the seeds that both have, all arms one family at `level`.

    Everything is as `comparisons.compare` has it. Differences are arm - baseline in the unit of the score either way:
    where less is better, an arm is "better" if its interval lies below 0. `Comparison.better` is the share of seeds
    on which the arm was better. `beyond` is as in `comparisons.compare`, by arm.
    """
    differences = paired_differences(scores, baseline)
    if better == "higher":
        return compare(differences, level=level, beyond=beyond)
    gains = {arm: [-value for value in values] for arm, values in differences.items()}
    return {arm: negated(found) for arm, found in compare(gains, level=level, beyond=beyond).items()}


def negated(gain: Comparison) -> Comparison:
    """Return what is said of a gain as it is said of the difference, which is minus the gain."""
    # 0 - x and not -x: an end cut at 0 must not become -0, which prints with a sign.
    return replace(gain, mean=0.0 - gain.mean, low=0.0 - gain.high, high=0.0 - gain.low)
