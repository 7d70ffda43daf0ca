"""How far a difference leans on this test set: a bootstrap over seeds x test examples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from regtune.errors import Refused
from regtune.statistics.comparisons import FEWEST
from regtune.statistics.intervals import MeanInterval

RESAMPLES = 2_000
AT_ONCE = 4_000_000  # numbers in memory at a time


def crossed_interval(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, level: float = 0.95, resamples: int = RESAMPLES
) -> MeanInterval:
    """Return the difference of accuracy (first - second) and a percentile interval over seeds and test examples.

    Both are [seeds, examples], whether a prediction was right; row by row of one seed, column by column of one
    example. Seeds and examples are drawn anew with replacement, each by itself, and both arms keep what was
    drawn (the pigeonhole bootstrap of A. B. Owen, 2007). `n` counts seeds, `sd` is over seeds. Beside the
    interval over seeds alone it says what another test set of this size could change. It is for one pair, not
    corrected for how many are looked at, and with few seeds too narrow in what it has of them: by about
    (n - 1) / n in their variance. Fewer than 3 seeds or 2 examples, or arms that are right and wrong together
    everywhere, give no interval. The same arrays give the same interval. Raises Refused for arrays of other shapes.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise Refused(f"expected two arrays [seeds, examples] of one shape, given {first.shape} and {second.shape}")
    seeds, examples = first.shape
    gains = first.astype(np.float64) - second.astype(np.float64)
    mean = float(gains.mean()) if gains.size else math.nan
    sd = float(gains.mean(axis=1).std(ddof=1)) if seeds > 1 and examples else math.nan
    low = high = math.nan
    if seeds >= FEWEST and examples > 1 and np.ptp(gains):
        tail = (1 - level) / 2
        low, high = map(float, np.quantile(resampled(gains, resamples=resamples), (tail, 1 - tail)))
    return MeanInterval(n=seeds, mean=mean, sd=sd, low=low, high=high)


def resampled(gains: NDArray[np.float64], *, resamples: int) -> NDArray[np.float64]:
    """Return the means [resamples] of a table [seeds, examples] whose rows and columns are drawn anew."""
    seeds, examples = gains.shape
    draws, at_once, found = np.random.default_rng(0), max(1, AT_ONCE // examples), []
    for begin in range(0, resamples, at_once):
        count = min(at_once, resamples - begin)
        rows = _shares(draws.integers(seeds, size=(count, seeds)), seeds)
        columns = _shares(draws.integers(examples, size=(count, examples)), examples)
        found.append(np.einsum("re,re->r", rows @ gains, columns))
    return np.concatenate(found)


def _shares(drawn: NDArray[np.int64], among: int) -> NDArray[np.float64]:
    """Return the share [resamples, among] of each number in rows of numbers below `among`."""
    count = len(drawn)
    flat = (drawn + among * np.arange(count)[:, None]).ravel()
    counts: NDArray[np.int64] = np.bincount(flat, minlength=count * among).reshape(count, among)
    shares: NDArray[np.float64] = counts / drawn.shape[1]
    return shares
