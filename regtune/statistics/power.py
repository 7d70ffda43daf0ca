"""How many more seeds an unresolved comparison would take."""

from __future__ import annotations

import math
from bisect import bisect_left

MOST = 1_000  # seeds in all, above which the answer is "over"
POWER = 0.8


def further_seeds(*, n: int, mean: float, sd: float, alpha: float, power: float = POWER) -> float:
    """Return how many seeds beyond `n` a two-sided paired t-test at level `alpha` needs to resolve a difference.

    It has then the chance `power`, if the mean and the spread observed (`sd` above 0) are the true ones; they are
    not, so the number is for planning only, and of a difference that is near 0 it says little. Infinity where
    more than 1,000 seeds in all would be needed.
    """
    from statsmodels.stats.power import TTestPower  # costs a second at start-up, so only here

    test = TTestPower()

    def enough(total: int) -> bool:
        found = test.power(abs(mean) / sd, nobs=total, alpha=alpha, alternative="two-sided")
        return not found < power  # far beyond enough, scipy's noncentral t is NaN

    totals = range(n + 1, MOST + 1)
    place = bisect_left(totals, True, key=enough)
    return float(totals[place] - n) if place < len(totals) else math.inf
