"""Tuning curves: the score of the best of n search trials, and how sure a curve is.

Source: N. Lourie, K. Cho, H. He, "Show Your Work with Confidence: Confidence Bands for Tuning Curves" (2024), by
their library opda.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from opda.nonparametric import EmpiricalDistribution

from regtune.core.errors import Refused

MOST_SIMULATED = 100  # scores; the narrower band is found by simulation, 80 MB and 2 s for so many
ROUND = (1, 2, 5)


@dataclass(frozen=True, kw_only=True)
class TuningCurve:
    """The median score of the best of each of `budgets` trials, and the ends of its band; NaN where none was asked for.

    All are as long as `budgets`; scores and ends are in the unit of the scores.
    """

    budgets: Sequence[int]
    best: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    @property
    def points(self) -> dict[int, tuple[float, float, float]]:
        """Best, low and high, by the number of trials."""
        return dict(zip(self.budgets, zip(self.best, self.low, self.high, strict=True), strict=True))


def tuning_curve(
    scores: Sequence[float], budgets: Sequence[int], *, band: bool = True, level: float = 0.95
) -> TuningCurve:
    """Return the tuning curve of scores, which are shares from 0 to 1, one a trial.

    `best` is the median of the best of n draws from the scores, with replacement: one of the scores. The band is for
    the same median were the draws from what the scores were drawn from; it holds over all n at once with probability
    `level`, for scores that are independent draws from any distribution (exactly of a continuous one for its
    distribution function; ties, and asking for the median at whole n only, make it surer). An end of 0 or 1 where no
    score is says that so few scores bound nothing on that side. Raises Refused without scores or with one that is no
    share.
    """
    array = np.sort(np.asarray(scores, dtype=float))
    if not len(array) or not ((array >= 0) & (array <= 1)).all():
        raise Refused(f"tuning curve: expected one or more scores from 0 to 1, given {list(scores)[:5]}")
    weights = np.full(len(array), 1 / len(array))
    nothing = (math.nan,) * len(budgets)
    low, high = nothing, nothing
    if band:
        ends = np.concatenate([[0.0], array, [1.0]])
        below, above = _cdf_band(len(array), level)
        low = _median(ends, np.diff(above, prepend=0.0), budgets)
        high = _median(ends, np.diff(below, prepend=0.0), budgets)
    return TuningCurve(budgets=tuple(budgets), best=_median(array, weights, budgets), low=low, high=high)


def round_budgets(most: int) -> list[int]:
    """Return 1, 2, 5, 10, 20, 50 and so on below `most`, and `most` itself; none for none."""
    powers = range(len(str(most)))
    return [*(n for power in powers for step in ROUND if (n := step * 10**power) < most), *([most] if most > 0 else [])]


def _median(values: NDArray[np.float64], weights: NDArray[np.float64], budgets: Sequence[int]) -> tuple[float, ...]:
    """Return the median of the best of each number of draws from values of such weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of equal weights, that they need not be given
        found = EmpiricalDistribution(values, ws=weights / weights.sum()).quantile_tuning_curve(budgets, q=0.5)
    return tuple(float(value) for value in found)


@lru_cache(maxsize=64)
def _cdf_band(n: int, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the greatest distribution function, [n + 2]: at the least value that may be, each of n
    sorted scores, and the greatest value.

    It is the same whatever the scores are, so that arms with as many trials share it. Learned-Miller and DeStefano's
    band (2008) with equal tails, whose critical value is simulated; of many scores that of Kolmogorov and Smirnov.
    """
    method = "ld_equal_tailed" if n <= MOST_SIMULATED else "ks"
    ranks = np.arange(1.0, n + 1)
    below, _, above = EmpiricalDistribution.confidence_bands(
        ranks, level, a=0.0, b=n + 1.0, method=method, generator=np.random.default_rng(0), n_jobs=1
    )
    places = np.arange(n + 2.0)
    return below.cdf(places), above.cdf(places)
