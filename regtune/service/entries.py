"""The things that a sweep file may name, with their knobs as JSON Schema. It takes torch, see `worker`."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.knobs import Interval, Knob, knobs
from regtune.core.records import Json
from regtune.core.registry import Registry
from regtune.data import DATASETS
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.pruners import PRUNERS
from regtune.regularizers import REGULARIZERS
from regtune.samplers import SAMPLERS
from regtune.service.catalogue import Kind

REGISTRIES: Mapping[str, Registry[Any]] = MappingProxyType(
    dict(zip(get_args(Kind), (REGULARIZERS, DATASETS, NETWORKS, OPTIMIZERS, SAMPLERS, PRUNERS), strict=True))
)
TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", tuple: "array", dict: "object"}


def entries(plugins: Sequence[str]) -> dict[str, list[Json]]:
    """Return all there is by kind, that of plugins too, each as `catalogue.Entry` has it."""
    return {kind: [_entry(*pair) for pair in found.all(plugins).items()] for kind, found in REGISTRIES.items()}


def _entry(name: str, cls: type) -> Json:
    summary = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return {"name": name, "summary": summary, "knobs": schema(knobs(cls) if dataclasses.is_dataclass(cls) else {})}


def schema(found: Mapping[str, Knob]) -> Json:
    """Return the JSON Schema of a table of settings."""
    properties = {name: _property(knob) for name, knob in found.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _property(knob: Knob) -> Json:
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
