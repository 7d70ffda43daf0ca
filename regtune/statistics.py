"""What the numbers can and cannot tell: intervals, paired comparisons, verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["better", "worse", "unresolved"]
FEWEST = 3  # seeds below which no p-value and no verdict is given


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean with its interval; the ends are NaN where the data support none."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A paired difference with its simultaneous interval, Holm-adjusted p and the verdict."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    p_holm: float
    verdict: Verdict


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> MeanInterval:
    """Return the mean and its t-interval at `level`.

    Two values at least, and not all equal: an interval of width 0 would claim certainty.
    """
    array = np.asarray(values, dtype=float)
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    half = _half_width(array, 1 - level)
    return MeanInterval(n=n, mean=mean, low=mean - half, high=mean + half)


def compare(differences: Mapping[str, Sequence[float]], *, level: float = 0.95) -> dict[str, Comparison]:
    """Compare several arms with one: for each, paired differences over the same seeds.

    Verdicts are Holm's on paired t-tests: the chance of rejecting any true equality is at most
    1 - level (S. Holm, 1979); the sign is that of the mean. Intervals are Bonferroni's, simultaneous at
    `level` as long as none is cut: where Holm resolves what Bonferroni alone would not, the interval is
    cut at 0, so that verdict and interval always agree ("better" if it lies above 0, "worse" if below,
    else "unresolved"). Together they hold with at least 1 - 2 (1 - level), the union bound. Fewer than
    three differences, or differences that are all equal, resolve nothing and get no interval.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in differences.items()}
    ps = {name: _p_value(array) for name, array in arrays.items()}
    adjusted = dict(zip(ps, _holm(list(ps.values())), strict=True))
    result = {}
    for name, array in arrays.items():
        mean = float(array.mean()) if len(array) else math.nan
        half = _half_width(array, (1 - level) / len(arrays)) if len(array) >= FEWEST else math.nan
        low, high = mean - half, mean + half
        verdict: Verdict = "unresolved"
        if adjusted[name] <= 1 - level:
            verdict = "better" if mean > 0 else "worse"
            low, high = (max(low, 0.0), high) if mean > 0 else (low, min(high, 0.0))
        result[name] = Comparison(
            n=len(array), mean=mean, low=low, high=high, p=ps[name], p_holm=adjusted[name], verdict=verdict
        )
    return result


def _half_width(array: np.ndarray[tuple[int], np.dtype[np.float64]], alpha: float) -> float:
    """Return half the width of the t-interval, NaN where there is none."""
    if len(array) < 2 or np.ptp(array) == 0:
        return math.nan
    return float(stats.t.ppf(1 - alpha / 2, len(array) - 1) * stats.sem(array))


def _p_value(array: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Return the two-sided p-value of a paired t-test; 1 where the data allow none."""
    if len(array) < FEWEST or np.ptp(array) == 0:
        return 1.0
    return float(stats.ttest_1samp(array, 0.0).pvalue)


def _holm(ps: Sequence[float]) -> list[float]:
    from statsmodels.stats.multitest import multipletests  # costs a second at start-up, so only here

    return [float(p) for p in multipletests(ps, method="holm")[1]] if ps else []
