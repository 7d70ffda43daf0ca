"""From a number in [0, 1) to a value of a knob: equal lengths are equally likely."""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def value_at(space: BaseDistribution, u: float) -> Any:
    """Return the value of a distribution at a place in [0, 1), on the logarithmic scale where it has one.

    Values that are finitely many take a part of the unit interval each: choices, steps and whole numbers
    equal ones, whole numbers on a logarithmic scale that from half below to half above them.
    """
    if isinstance(space, CategoricalDistribution):
        return space.choices[int(u * len(space.choices))]
    if isinstance(space, FloatDistribution):
        if space.step is None:
            return min(max(_between(space.low, space.high, u, log=space.log), space.low), space.high)
        return min(space.low + int(u * _places(space)) * space.step, space.high)
    if isinstance(space, IntDistribution):
        if space.log:
            whole = round(_between(space.low - 0.5, space.high + 0.5, u, log=True))
            return min(max(whole, space.low), space.high)
        return space.low + int(u * _places(space)) * space.step
    raise TypeError(f"expected a float, int or categorical distribution, given {space!r}")


def _places(space: FloatDistribution | IntDistribution) -> int:
    """Return how many values a range with a step has."""
    return round((space.high - space.low) / (space.step or 1)) + 1


def _between(low: float, high: float, u: float, *, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)
