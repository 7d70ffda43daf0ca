"""Default ranges that are shares of the training: a knob that counts epochs has a longer one in a longer budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from regtune.core.knobs import Knob


def stretched(k: Knob, epochs: int, beside: Mapping[str, Any]) -> BaseDistribution | None:
    """Return the default range of a knob in a budget of so many epochs.

    With `k.stretch` its ends are in proportion to the budget, those that are declared at the epochs that it names; the
    low end is never below the declared one, since what is too few epochs to tell anything is so in a short training
    too. One of what the knob counts is as many epochs as the knob says that it names, at most, by `beside`: the values
    or ranges of the other knobs.
    """
    space = k.space
    if k.stretch is None or not isinstance(space, IntDistribution):
        return space
    declared, length = k.stretch
    counted = epochs / _longest(beside[length])
    low, high = (round(end * counted / declared) for end in (space.low, space.high))
    low = max(low, space.low)
    return IntDistribution(low, max(high, low + 1))


def _longest(value: Any) -> int:
    """Return a fixed whole number, or the largest that is searched."""
    if isinstance(value, CategoricalDistribution):
        return max(int(choice) for choice in value.choices if choice is not None)
    return int(getattr(value, "high", value))
