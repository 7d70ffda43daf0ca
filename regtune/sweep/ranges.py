"""What a sweep file may say of knobs: a fixed value, a range or a list of choices each."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.distributions import choices_of
from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Knob
from regtune.core.records import Json

ENDS = ("low", "high", "log", "step")
MOST_STEPS = 1e6


def read_searched(
    known: Mapping[str, Knob], settings: object, where: str, *, epochs: int, beside: Sequence[str] = ()
) -> tuple[Json, dict[str, BaseDistribution]]:
    """Split settings into plain fixed values and searched distributions, defaults filled in.

    `epochs` is the budget, of which some default ranges are shares. `beside` names settings that are no knobs and are
    read elsewhere. Raises Refused.
    """
    if not isinstance(settings, dict):
        raise Refused(f"{where}: expected a table of knobs (may be empty), given {shown(settings)}")
    for name in settings:
        if name not in known and name not in beside:
            raise Refused(f"{where}: unknown knob {shown(name)}{nearest(name, [*known, *beside])}")
    row: Json = {}
    space: dict[str, BaseDistribution] = {}
    given = {n: read_space(k, settings[n], f"{where}.{n}") for n, k in known.items() if n in settings}
    others = {name: k.default for name, k in known.items()} | given
    for name, k in known.items():
        value = k.default if k.space is None else stretched(k, epochs, others)
        value = given.get(name, value)
        if isinstance(value, BaseDistribution):
            space[name] = value
        else:
            row[name] = k.plain(value)
    return row, space


def read_space(k: Knob, value: object, where: str) -> BaseDistribution | Any:
    """Read what a sweep file says of a knob: a fixed value, `{low, high, log, step}` or a list of choices.

    Where values are lists themselves, `[[0.5], [0.5, 0.75]]` is two choices and `[0.5, 0.75]` is one value.
    Returns an Optuna distribution, or the checked fixed value. Raises Refused.
    """
    # A list is a value of a knob that takes lists; a list of lists is a choice among such values.
    if isinstance(value, list) and (k.kind is not tuple or any(isinstance(item, list) for item in value)):
        if not value:
            raise Refused(f"{where}: expected at least one choice, given an empty list")
        return choices_of(k.plain(k.read(v, f"{where}[{i}]")) for i, v in enumerate(value))
    if not isinstance(value, dict):
        return k.read(value, where)
    if k.kind not in (int, float):
        raise Refused(f"{where}: expected {k.expected()} or a list of choices, given a range")
    for name in value:
        if name not in ENDS:
            raise Refused(f"{where}: unknown setting {shown(name)}{nearest(name, ENDS)}")
    return _range(k, value, where)


def _range(k: Knob, value: dict[str, object], where: str) -> IntDistribution | FloatDistribution:
    if "low" not in value or "high" not in value:
        raise Refused(f"{where}: a range needs low and high, given {shown(sorted(value))}")
    low, high = (k.read(value[end], f"{where}.{end}") for end in ("low", "high"))
    log = value.get("log", False)
    # A knob that takes whole numbers only, say, keeps its step where a range is narrowed.
    step = value.get("step", None if log is True else getattr(k.space, "step", None))
    if not isinstance(log, bool):
        raise Refused(f"{where}.log: expected true or false, given {shown(log)}")
    if not low < high or math.isinf(high):
        raise Refused(f"{where}: expected low < high, both finite, given low={low}, high={high}")
    if log and low <= 0:
        raise Refused(f"{where}: a logarithmic range needs low > 0, given low={low}")
    if step is not None and (log or not _divides(k, step, low, high)):
        noun = "whole number" if k.kind is int else "number"
        raise Refused(f"{where}.step: expected a {noun} that divides high - low, and no log, given {shown(step)}")
    if k.kind is int:
        return IntDistribution(low, high, log=log, step=1 if step is None else typing.cast(int, step))
    return FloatDistribution(low, high, log=log, step=typing.cast(float | None, step))


def _divides(k: Knob, step: object, low: float, high: float) -> bool:
    """Return whether a range is a whole number of steps."""
    width = high - low
    right_type = type(step) is int or (k.kind is float and isinstance(step, float))
    if not right_type or not 0 < typing.cast(float, step) <= width:
        return False
    if width / typing.cast(float, step) > MOST_STEPS:
        return False
    # In decimals, as Optuna does it: where its remainder is not 0 it would move the end of the range.
    return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0


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
