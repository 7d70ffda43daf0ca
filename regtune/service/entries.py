"""The things that a sweep file may name, with their knobs as JSON Schema. It takes torch, see `worker`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from regtune.core.knob_schema import schema, summary
from regtune.core.knobs import knobs
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


def entries(plugins: Sequence[str]) -> dict[str, list[Json]]:
    """Return all there is by kind, that of plugins too, each as `catalogue.Entry` has it."""
    return {kind: [_entry(*pair) for pair in found.all(plugins).items()] for kind, found in REGISTRIES.items()}


def _entry(name: str, cls: type) -> Json:
    return {"name": name, "summary": summary(cls), "knobs": schema(knobs(cls) if dataclasses.is_dataclass(cls) else {})}
