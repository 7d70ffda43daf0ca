"""Reading the arms of a sweep file, and the trial that all of their trials are made from."""

from __future__ import annotations

from typing import Any, Literal

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import OFF, knobs, plain_settings, read_settings
from regtune.core.metric import CLASSWISE
from regtune.core.own_code import own_errors
from regtune.core.records import FIRST, Json, Trial
from regtune.core.registry import Registry
from regtune.core.search_space import OPTIMIZER, KnobPath
from regtune.data import DATASETS
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.samplers import SAMPLERS
from regtune.sweep.arms import Arm, read_arm
from regtune.sweep.methods import ArmEntry
from regtune.sweep.points import with_first
from regtune.sweep.ranges import read_searched
from regtune.sweep.schema import SweepFile


def read_arms(file: SweepFile, plugins: tuple[str, ...], *, download: bool = False) -> tuple[Arm, ...]:
    """Return the arms; raises Refused with path, expectation, value and remedy."""
    modules = tuple(dict.fromkeys([*file.plugins, *plugins]))
    SAMPLERS.find(file.search.sampler, "search.sampler", modules)
    optimizer, optimizer_space = _optimizer(file.optimizer, file.training.epochs, modules)
    template = Trial(
        data=_named(DATASETS, file.data, "data", modules),
        network=_pinned(_named(NETWORKS, file.network, "network", modules), modules, download=download),
        optimizer=optimizer,
        epochs=file.training.epochs,
        batch=file.training.batch,
        seed=0,
        threads=file.cluster.cpus_per_trial,
        device="cuda" if file.cluster.gpus_per_trial > 0 else "cpu",
        dtype=file.training.dtype,
        autocast=file.training.autocast,
        channels_last=file.training.channels_last,
        compiled=file.training.compiled,
        tightness=file.training.tightness,
        balance=file.training.balance,
        metric=file.search.metric if file.search.metric in CLASSWISE else "",  # the others are measured anyway
        plugins=modules,
    )
    return _arms(file, template, optimizer_space)


def splits_of(arm: Arm) -> Literal["one", "fresh"]:
    """Return on which splits select and confirm train where a sweep file says nothing.

    On fresh ones where the data set says that its test split is the same for every split, which its settings tell
    without loading it; what it says is checked when the data are there, see `preflight.preflight`.
    """
    return "fresh" if DATASETS.build(arm.template.data, "data", arm.template.plugins).fixed_test else "one"


def _arms(file: SweepFile, template: Trial, optimizer_space: dict[str, Any]) -> tuple[Arm, ...]:
    if not file.arms:
        raise Refused("arms: expected at least one arm, given none; a baseline is written baseline = {}")
    arms = []
    for name, methods in file.arms.items():
        where = f"arms.{name}"
        if not name.replace("_", "").replace("-", "").isalnum() or len(name) > 60:
            raise Refused(f"arms: expected a name of letters, digits, _ and - (at most 60), given {shown(name)}")
        if not isinstance(methods, dict):
            raise Refused(f"{where}: expected a table of regularizers (empty for a baseline), given {shown(methods)}")
        off = methods.get(OFF, True)
        if not isinstance(off, bool):
            raise Refused(f"{where}.{OFF}: expected true or false (its methods are never left off), given {shown(off)}")
        base = [ArmEntry(place="base", name=key, table=table) for key, table in file.base.items()]
        beside = (OFF, FIRST)
        own = [ArmEntry(place=where, name=key, table=table) for key, table in methods.items() if key not in beside]
        arms.append(read_arm(name, base, own, template=template, optimizer_space=optimizer_space, off=off))
    return with_first(arms, file.search.first, {n: t[FIRST] for n, t in file.arms.items() if FIRST in t})


def _named(registry: Registry[Any], table: dict[str, Any], where: str, plugins: tuple[str, ...]) -> Json:
    if "name" not in table:
        raise Refused(f"{where}.name: expected the name of a {registry.noun}{nearest('', registry.all(plugins))}")
    cls = registry.find(table["name"], f"{where}.name", plugins)
    settings = {key: value for key, value in table.items() if key != "name"}
    given = read_settings(cls, settings, where)
    with own_errors(f"{where}.{table['name']}"):
        return {"name": table["name"], **plain_settings(cls(**given))}


def _pinned(network: Json, plugins: tuple[str, ...], *, download: bool) -> Json:
    """Return a network with the hashes of the files that it reads, which are part of its trials."""
    value = NETWORKS.build(network, "network", plugins)
    with own_errors(f"network.{network['name']}"):
        if download:
            value.fetch()
        return {"name": network["name"], **plain_settings(value.pinned())}


def _optimizer(table: dict[str, Any], epochs: int, plugins: tuple[str, ...]) -> tuple[Json, dict[str, Any]]:
    name = table.get("name", "sgd")
    cls = OPTIMIZERS.find(name, "optimizer.name", plugins)
    settings = {key: value for key, value in table.items() if key != "name"}
    row, space = read_searched(knobs(cls), settings, OPTIMIZER, epochs=epochs)
    return {"name": name, **row}, {str(KnobPath(OPTIMIZER, knob)): s for knob, s in space.items()}
