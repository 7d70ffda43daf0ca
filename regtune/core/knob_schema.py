"""Knobs as JSON Schema: what a form or an editor knows of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.knobs import Interval, Knob
from regtune.core.records import Json

TYPES = MappingProxyType(
    {int: "integer", float: "number", bool: "boolean", str: "string", tuple: "array", dict: "object"}
)


def summary(cls: type) -> str:
    """Return the first paragraph of the docstring of a thing, in one line."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def schema(found: Mapping[str, Knob]) -> Json:
    """Return the JSON Schema of a table of settings."""
    properties = {name: property_of(knob) for name, knob in found.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def property_of(knob: Knob) -> Json:
    """Return the JSON Schema of a fixed value of a knob.

    Beside the words of JSON Schema it has `x-search`, the range that is searched where a sweep file says nothing, and
    `x-neutral`, the value at which a method does nothing.
    """
    value: Json = {"type": TYPES[knob.kind]}
    if isinstance(knob.legal, tuple):
        value["enum"] = list(knob.legal)
    ends = _ends(knob.legal) if isinstance(knob.legal, Interval) else {}
    if knob.kind is tuple:
        value["items"] = {"type": TYPES[knob.item], **ends}
    else:
        value |= ends
    if knob.off is not None:
        value = {"anyOf": [value, {"const": knob.word}]}
    value |= {"description": knob.meaning, "default": knob.plain(knob.default)}
    if knob.neutral is not None:
        value["x-neutral"] = knob.plain(knob.neutral)
    return value | ({"x-search": space} if (space := _space(knob)) else {})


def _ends(legal: Interval) -> Json:
    low = {"exclusiveMinimum" if legal.low_open else "minimum": legal.low}
    high = {"exclusiveMaximum" if legal.high_open else "maximum": legal.high}
    return {name: _number(end) for name, end in (low | high).items() if math.isfinite(end)}


def _number(end: float) -> float | int:
    return int(end) if end.is_integer() and abs(end) < 2**53 else end


def _space(knob: Knob) -> Json | list[Any] | None:
    """Return a range as sweep files write it."""
    if isinstance(knob.space, FloatDistribution | IntDistribution):
        return {"low": knob.space.low, "high": knob.space.high, **({"log": True} if knob.space.log else {})}
    if isinstance(knob.space, CategoricalDistribution):
        return [list(each) if isinstance(each, tuple) else each for each in knob.space.choices]
    return None
