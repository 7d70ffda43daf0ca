"""Sweep files as JSON Schema (draft 7), for editors: their settings, and the knobs of all that they may name.

It says less than `regtune check`, which knows what goes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regtune.core.knob_schema import property_of, summary
from regtune.core.knob_schema import schema as fixed
from regtune.core.knobs import OFF, Knob, knobs
from regtune.core.records import FIRST, NONE, ONE_OF, SWITCH, Json
from regtune.core.registry import Registry
from regtune.data import DATASETS
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.pruners import PRUNERS
from regtune.regularizers import REGULARIZERS
from regtune.samplers import SAMPLERS
from regtune.sweep.layers import INCLUDE, NAME, NAMED
from regtune.sweep.ranges import ENDS
from regtune.sweep.schema import SweepFile

DRAFT = "http://json-schema.org/draft-07/schema#"
BOOLEAN: Json = {"type": "boolean"}


def json_schema(plugins: Sequence[str] = ()) -> Json:
    """Return the JSON Schema of a sweep file, with the things of these plugins; raises Refused for one that fails."""
    found: Json = SweepFile.model_json_schema()
    tables, parts, modules = found["properties"], found["$defs"], tuple(plugins)
    for place, registry in (("data", DATASETS), ("network", NETWORKS), ("optimizer", OPTIMIZERS)):
        tables[place] |= {"anyOf": _named(registry, modules, NAMED[place])}
        if NAMED[place] is None:  # the name may stand in the file that is included
            settings = {name for table in tables[place]["anyOf"] for name in table["properties"]} - {NAME}
            tables[place]["anyOf"].append({"type": "object", "propertyNames": {"enum": sorted(settings)}})
    methods = REGULARIZERS.all(modules)
    parts |= {f"method.{name}": _method(cls) for name, cls in methods.items()}
    of_methods = {name: {"$ref": f"#/$defs/method.{name}"} for name in methods}
    parts["group"] = _group(of_methods)
    table: Json = {"type": "object", "properties": of_methods, "additionalProperties": {"$ref": "#/$defs/group"}}
    beside = {OFF: BOOLEAN, FIRST: {"type": "array", "items": {"type": "object"}}}
    parts["arm"] = table | {"properties": of_methods | beside}
    tables["base"] |= table
    tables["arms"] |= {"additionalProperties": {"$ref": "#/$defs/arm"}}
    search = parts["SearchConfig"]["properties"]
    search["sampler"]["enum"], search["pruner"]["enum"] = [*SAMPLERS.all(modules)], [*PRUNERS.all(modules)]
    # What a file does not say may stand in the one that it includes.
    named = {place: {"required": [NAME]} for place, default in NAMED.items() if default is None}
    whole = {"anyOf": [{"required": found.pop("required"), "properties": named}, {"required": [INCLUDE]}]}
    return {"$schema": DRAFT} | found | whole | {"title": "a sweep file of regtune"}


def _named(registry: Registry[Any], plugins: tuple[str, ...], default: str | None) -> list[Json]:
    """Return the schemas of a table that names a thing, by what it names; the settings of most are fixed."""
    found = []
    for name, cls in registry.all(plugins).items():
        table = _searched(knobs(cls)) if registry is OPTIMIZERS else fixed(knobs(cls))
        table["properties"] = {NAME: {"const": name, "description": summary(cls)}} | table["properties"]
        found.append(table if name == default else table | {"required": [NAME]})
    return found


def _method(cls: type) -> Json:
    table = _searched(knobs(cls))
    table["properties"][SWITCH] = BOOLEAN | {"description": "search too whether it is in the recipe at all"}
    return table | {"description": summary(cls)}


def _group(methods: Mapping[str, Json]) -> Json:
    among = {"type": "object", "properties": dict(methods), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {ONE_OF: among, NONE: BOOLEAN},
        "required": [ONE_OF],
        "additionalProperties": False,
    }


def _searched(settings: Mapping[str, Knob]) -> Json:
    """Return the schema of a table of knobs that may be searched: a value, a list of choices, or a range."""
    table = fixed(settings)
    table["properties"] = {name: _value_or_space(knob) for name, knob in settings.items()}
    return table


def _value_or_space(knob: Knob) -> Json:
    value = property_of(knob)
    said = {name: value.pop(name) for name in [*value] if name in ("description", "default") or name.startswith("x-")}
    spaces: list[Json] = [{"type": "array", "items": value, "minItems": 1}]
    if knob.kind in (int, float):
        low, high, log, step = ENDS
        ends = {low: value, high: value, log: BOOLEAN, step: {"type": "number"}}
        spaces.append({"type": "object", "properties": ends, "required": [low, high], "additionalProperties": False})
    return {"anyOf": [value, *spaces]} | said
