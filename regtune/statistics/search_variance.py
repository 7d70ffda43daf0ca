"""How much a difference varies over searches: the variance of its mean over what other searches would choose.

Source: the law of total variance; of its parts in benchmarks X. Bouthillier et al., "Accounting for Variance in
Machine Learning Benchmarks" (2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

Key = TypeVar("Key")


def search_variance(
    shares: Sequence[float], differences: Sequence[Sequence[float]], *, corrected: bool = True
) -> float:
    """Return the variance over choices of their mean difference, in squares of its unit.

    `shares` says how often each choice was made and `differences` [choices, seeds] what it scored against the
    baseline, all on the same seeds. Means over so few seeds spread by themselves, which the seeds shared by all do
    not show as far as they shift all choices alike: what a choice's own spread around the mean of all explains is
    taken off, and what is left is not below 0. NaN of fewer than two seeds, or of no choice. Where it is not
    `corrected` nothing is taken off: then it is too large by what that is expected to be, and never 0 by chance.
    """
    weights, scores = np.asarray(shares, dtype=float), np.asarray(differences, dtype=float)
    if scores.ndim != 2 or scores.shape[1] < 2 or not weights.sum():
        return math.nan
    weights = weights / weights.sum()
    means = scores.mean(axis=1)
    own = (scores - weights @ scores).var(axis=1, ddof=1) / scores.shape[1] if corrected else 0.0
    return max(0.0, float(weights @ ((means - weights @ means) ** 2 - own)))


def mean_known(variances: Iterable[float]) -> float:
    """Return the mean of the variances that are known, those that are not NaN; 0 without any."""
    known = [each for each in variances if not math.isnan(each)]
    return sum(known) / len(known) if known else 0.0


def at_least(variances: Mapping[Key, float], least: float) -> dict[Key, float]:
    """Return variances none of which is below `least`; NaN stays NaN.

    One that rests on a few choices and five seeds, whose noise is subtracted, is often 0 where the true one is large:
    of false verdicts drawn from a bank of trainings half had a variance of 0 (`benchmarks/bank.py`). The mean over
    all arms rests on more, and a part of it, from the baseline's choice, is in every arm.
    """
    return {key: each if math.isnan(each) else max(each, least) for key, each in variances.items()}
