"""How far a difference leans on this test set: a bootstrap over seeds x test examples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regtune.core.errors import Refused
from regtune.statistics.comparisons import FEWEST
from regtune.statistics.intervals import MeanInterval

RESAMPLES = 4_000
AT_ONCE = 4_000_000  # numbers in memory at a time


def crossed_intervals(
    pairs: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]], *, level: float = 0.95, resamples: int = RESAMPLES
) -> list[MeanInterval]:
    """Return of each pair (first, second) the difference of accuracy and an interval over seeds and test examples.

    All are [seeds, examples] of one shape, whether a prediction was right; in a pair row by row of one seed, column
    by column of one example. Seeds and examples are resampled with replacement, each by itself, and both arms keep
    what was drawn (the pigeonhole bootstrap of A. B. Owen, 2007). Its spread counts what belongs to single cells
    three times and takes few seeds for many, so the draws give the shape only: they are stretched to the unbiased
    variance of a crossed design (`variance`), and by Student's quantile with as many degrees of freedom as there are
    seeds less one over the normal one. `n` counts seeds, `sd` is over seeds. Beside the interval over seeds alone,
    than which it is hardly ever narrower, it says what another test set of this size could change. Fewer than 3 seeds
    or 2 examples, or arms that are right and wrong together everywhere, give no interval. The same arrays give the
    same interval. Raises Refused for arrays of several shapes.
    """
    shapes = {part.shape for pair in pairs for part in pair}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise Refused(f"expected arrays [seeds, examples] of one shape, given {sorted(shapes)}")
    gains = [first.astype(np.float32) - second.astype(np.float32) for first, second in pairs]
    may = [k for k, table in enumerate(gains) if len(table) >= FEWEST and table.shape[1] > 1 and np.ptp(table)]
    drawn = dict(zip(may, resampled([gains[k] for k in may], resamples=resamples), strict=True))
    return [_interval(table, drawn.get(k), (1 - level) / 2) for k, table in enumerate(gains)]


def variance(gains: NDArray[np.float32]) -> float:
    """Return the variance of the mean of a table [seeds, examples] over both, without bias.

    (MS_seeds + MS_examples - MS_rest) / cells, of the two-way layout with random rows and columns (H. Scheffe, 1959),
    and at least what it is over seeds alone, MS_seeds / cells.
    """
    seeds, examples = gains.shape
    by_seed, by_example = gains.mean(1, dtype=np.float64), gains.mean(0, dtype=np.float64)
    rest = gains - by_seed[:, None] - by_example + by_seed.mean()
    of_seeds, of_examples = examples * by_seed.var(ddof=1), seeds * by_example.var(ddof=1)
    of_rest = (rest**2).sum() / ((seeds - 1) * (examples - 1))
    return float(max(of_seeds, of_seeds + of_examples - of_rest) / gains.size)


def resampled(tables: Sequence[NDArray[np.float32]], *, resamples: int) -> list[NDArray[np.float64]]:
    """Return of each table [seeds, examples] the means [resamples] with rows and columns resampled, the same in all.

    Drawing takes longer than what is done with it, so tables share it; a table's means do not depend on the others.
    Sums of -1, 0 and 1 over fewer than 2^24 examples are exact in float32.
    """
    if not tables:
        return []
    seeds, examples = tables[0].shape
    draws, at_once = np.random.default_rng(0), max(1, AT_ONCE // examples)
    found: list[list[NDArray[np.float64]]] = [[] for _ in tables]
    for begin in range(0, resamples, at_once):
        count = min(at_once, resamples - begin)
        rows = _counts(draws.integers(seeds, size=(count, seeds)), seeds)
        columns = _counts(draws.integers(examples, size=(count, examples)), examples).astype(np.float32)
        for table, means in zip(tables, found, strict=True):
            means.append(((columns @ table.T) * rows).sum(1) / (seeds * examples))
    return [np.concatenate(means) for means in found]


def _interval(gains: NDArray[np.float32], drawn: NDArray[np.float64] | None, tail: float) -> MeanInterval:
    seeds, examples = gains.shape
    mean = float(gains.mean(dtype=np.float64)) if gains.size else math.nan
    sd = float(gains.mean(axis=1, dtype=np.float64).std(ddof=1)) if seeds > 1 and examples else math.nan
    low = high = math.nan
    if drawn is not None:
        student = stats.t.ppf(1 - tail, seeds - 1) / stats.norm.ppf(1 - tail)
        stretch = float(student) * math.sqrt(variance(gains)) / float(drawn.std())
        low, high = (mean + stretch * (float(end) - mean) for end in np.quantile(drawn, (tail, 1 - tail)))
    return MeanInterval(n=seeds, mean=mean, sd=sd, low=low, high=high)


def _counts(drawn: NDArray[np.int64], among: int) -> NDArray[np.int64]:
    """Return how often [resamples, among] each number stands in rows of numbers below `among`."""
    count = len(drawn)
    flat = (drawn + among * np.arange(count)[:, None]).ravel()
    counts: NDArray[np.int64] = np.bincount(flat, minlength=count * among).reshape(count, among)
    return counts
