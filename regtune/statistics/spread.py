"""Where the spread of a difference comes from: seeds, test examples, searches.

Source: X. Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks" (2021). They resample one source
with the others held fixed; here a part is what is left of an observed variance without those that are in it too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

import numpy as np
from numpy.typing import NDArray

from regtune.core.errors import Refused


def seed_and_example_parts(tables: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the variances of one seed's difference that come from the seed and from the test examples, without bias.

    A table of gains is [seeds, examples]: 1, 0 or -1, whether only the first arm was right, both or none, only the
    second; of several, as many as there were searches, it is the mean. Of a gain = mean + seed + example + rest, the
    difference of a seed is the mean over examples. Its variance over seeds on one test set has the rest in it, divided
    by the examples, which is taken off here; below 0 it is 0. What another test set of this size would change is
    (example + rest) / examples: the variance within a seed, of its discordant pairs, the mean over seeds. The two parts
    add up to the variance where seeds and test sets are resampled together. A table of fewer than two seeds counts for
    the second only, one of fewer than two examples for none; NaN where no table counts. Raises Refused for another
    shape.
    """
    if any(gains.ndim != 2 for gains in tables):
        raise Refused(f"parts of a spread: expected arrays [seeds, examples], given {[t.shape for t in tables]}")
    some = [gains for gains in tables if gains.shape[0] > 0 and gains.shape[1] > 1]
    of_examples = [float(gains.var(axis=1, ddof=1).mean()) / gains.shape[1] for gains in some]
    of_seeds = [_seed_part(gains) for gains in some if len(gains) > 1]
    return max(fmean(of_seeds), 0.0) if of_seeds else math.nan, fmean(of_examples) if of_examples else math.nan


def _seed_part(gains: NDArray[np.float64]) -> float:
    """Return the variance over seeds of a table without the rest, which may be below 0."""
    seeds, examples = gains.shape
    by_seed = gains.mean(axis=1)
    rest = gains - by_seed[:, None] - gains.mean(axis=0) + gains.mean()
    of_rest: float = float((rest**2).sum()) / ((seeds - 1) * (examples - 1)) / examples
    return float(by_seed.var(ddof=1)) - of_rest


def binomial_part(pairs: Sequence[tuple[float, float]], examples: int) -> float:
    """Return the variance that comes from the test examples where it is only known how many were right.

    `pairs` are the accuracies of both arms, a pair a seed, on so many examples. It is that of two binomials, as if the
    arms were right or wrong independently of each other: too much where both tend to be right about the same
    examples, as two networks for one task do. NaN without pairs or examples.
    """
    if not pairs or examples < 1:
        return math.nan
    return fmean(first * (1 - first) + second * (1 - second) for first, second in pairs) / examples


def seed_variance(searches: Sequence[Sequence[float]]) -> float:
    """Return the variance (n - 1) of differences over the seeds of each search, pooled; NaN where none has two."""
    some = [np.asarray(one, dtype=float) for one in searches if len(one)]
    freedom = sum(len(one) - 1 for one in some)
    squares = [float(((one - one.mean()) ** 2).sum()) for one in some]
    return sum(squares) / freedom if freedom else math.nan


def search_part(searches: Sequence[Sequence[float]]) -> float:
    """Return the variance of a difference that comes from the search: from which configurations it happened to find.

    Each search is given by its differences over seeds. It is the variance (n - 1) of their means over the searches,
    less what means over so few seeds vary by themselves; below 0 it is 0. The variance over seeds is pooled over the
    searches. NaN for fewer than two searches with differences, and where none has two seeds: nothing tells seeds and
    searches apart then.
    """
    some, within = [one for one in searches if len(one)], seed_variance(searches)
    if len(some) < 2 or math.isnan(within):
        return math.nan
    return max(variance([fmean(one) for one in some]) - within * fmean(1 / len(one) for one in some), 0.0)
