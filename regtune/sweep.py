"""A sweep file: read and checked before anything starts; a mistake is one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from regtune.arms import Arm, read_arm
from regtune.choice import Selection
from regtune.data import DATASETS
from regtune.errors import Refused, nearest, shown
from regtune.folders import repeat_folder
from regtune.methods import Entry
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.ranges import read_searched
from regtune.records import Plain, Trial
from regtune.samplers import SAMPLERS
from regtune.shelf import Shelf, fingerprint
from regtune.space import OFF, knobs, plain_settings, read_settings
from regtune.sweep_file import (
    MAX_TRIALS,
    Cluster,
    Confirm,
    Search,
    Select,
    SweepFile,
    Training,
    read_file,
)


class Sweep(BaseModel):
    """A checked sweep. `arms` in the order of the file; the first is what the others are compared to.

    `repeat` says the how manieth it is where the whole sweep is repeated, see `nth`.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    seed: int
    arms: tuple[Arm, ...]
    training: Training
    search: Search
    select: Select
    confirm: Confirm
    cluster: Cluster
    repeat: int = 1

    @classmethod
    def read(cls, path: str | Path, plugins: tuple[str, ...] = ()) -> Sweep:
        """Read a sweep file; raises Refused with file, path, expectation, value and remedy."""
        source = Path(path)
        try:
            return _checked(read_file(source), plugins, default_name=source.stem)
        except Refused as error:
            raise Refused(f"{source}: {error}") from error

    @property
    def baseline(self) -> str:
        """The name of the arm that the others are compared with."""
        return self.arms[0].name

    def arm(self, name: str, where: str = "arm") -> Arm:
        """Return an arm by name; raises Refused with the nearest name."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise Refused(f"{where}: unknown arm {shown(name)}{nearest(name, [a.name for a in self.arms])}")

    def nth(self, repeat: int) -> Sweep:
        """Return a repeat of the whole sweep, from 1: another seed, and so other knobs, weights and noise throughout.

        The first is the sweep as it is without repeats.
        """
        return self.model_copy(update={"seed": self.seed + repeat - self.repeat, "repeat": repeat})

    def every_repeat(self) -> list[Sweep]:
        """Return all repeats that the file asks for, in their order."""
        return [self.nth(repeat) for repeat in range(1, self.search.repeats + 1)]

    def folder(self, results: Path) -> Path:
        """Return the folder of this repeat below the one under which all sweeps have theirs."""
        return repeat_folder(results / self.name, self.repeat)

    def budget(self, arm: Arm) -> int:
        """Return the planned search trials of an arm; per knob means per path, idle or not: D of Kadra's 40 × D."""
        if self.search.trials is not None:
            return self.search.trials
        return (self.search.trials_per_knob or 1) * max(len(arm.space), 1)

    @property
    def search_epochs(self) -> int:
        """The epochs that a search trial takes at most."""
        return self.search.stop_after or self.training.epochs

    @property
    def confirm_epochs(self) -> int:
        """The epochs that a confirm trial takes at most, a second training included."""
        once, confirm = self.training.epochs, self.confirm
        again = {"none": 0, "updates": once, "epochs": once, "loss": confirm.retrain_cap}
        return once + again[confirm.retrain]

    def search_seed(self, number: int) -> int:
        """Return the seed of the search trial of this number: the same in every arm."""
        return 2 * MAX_TRIALS * self.seed + number

    def select_seed(self, number: int) -> int:
        """Return the further seed of this number, on which candidates are compared: the same in every arm.

        They lie before those of confirm, and count down: search, which counts up, never comes near.
        """
        return 2 * MAX_TRIALS * self.seed + MAX_TRIALS - 1 - number

    def confirm_seed(self, number: int) -> int:
        """Return the seed of the confirm trial of this number: the same in every arm, never searched."""
        return 2 * MAX_TRIALS * self.seed + MAX_TRIALS + number

    def can_be_off(self, arm: Arm) -> bool:
        """Return whether the baseline's choice is a candidate of an arm too, as the arm with its methods off.

        Only where draws are paired, or the arm would draw twice as often as the baseline; by several seeds, never by
        one score; and where the baseline has nothing that the arm has not.
        """
        paired = self.search.sampler == "paired" and self.select.seeds > 1
        return paired and arm.neutral and arm.name != self.baseline and not self.arms[0].own

    def on_its_split(self, trial: Trial) -> Trial:
        """Return a trial of select or confirm on the split that belongs to its seed, where splits are fresh."""
        if self.confirm.splits == "one":
            return trial
        return dataclasses.replace(trial, data={**trial.data, "split_seed": trial.seed})

    @property
    def select_trials(self) -> int:
        """The trials of select that an arm takes at most."""
        if not self.select.seeds:
            return 0
        return Selection(**self.select.model_dump(), examples=None).trials

    def plain(self) -> Plain:
        """Return what the log's header records: enough to see whether two sweeps are the same."""
        search = self.search.model_dump(exclude={"repeats"})  # there may be more of them at any time
        if not self.search.control:  # logs of sweeps without stay those of the same sweep
            del search["control"]
        return {
            "name": self.name,
            "seed": self.seed,
            **({"repeat": self.repeat} if self.repeat > 1 else {}),
            "arms": {
                arm.name: {
                    "template": arm.template.plain(),
                    "space": {path: str(space) for path, space in arm.space.items()},
                    "trials": self.budget(arm),
                    **({OFF: True} if self.can_be_off(arm) else {}),
                    # Only where there are some: logs of plain arms stay those of the same sweep.
                    **({"conditions": {name: str(c) for name, c in arm.conditions.items()}} if arm.conditions else {}),
                }
                for arm in self.arms
            },
            "plugins": {name: fingerprint(name) for name in self.arms[0].template.plugins},
            "search": search,
            **({"select": self.select.model_dump()} if self.select.seeds else {}),
            "cluster": self.cluster.model_dump(),
            # What is asked for beside the rest, and terms of a race, likewise.
            "training": self.training.model_dump(exclude=set() if self.training.tightness else {"tightness"}),
            "confirm": self.confirm.model_dump(
                exclude=({"relevant"} if self.confirm.relevant is None else set())
                | (set() if self.confirm.racing else {"racing", "first"})
            ),
        }


def _checked(file: SweepFile, plugins: tuple[str, ...], default_name: str) -> Sweep:
    modules = tuple(dict.fromkeys([*file.plugins, *plugins]))
    SAMPLERS.find(file.search.sampler, "search.sampler", modules)
    optimizer, optimizer_space = _optimizer(file.optimizer)
    template = Trial(
        data=_named(DATASETS, file.data, "data", modules),
        network=_named(NETWORKS, file.network, "network", modules),
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
        plugins=modules,
    )
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
        base = [Entry(place="base", name=key, table=table) for key, table in file.base.items()]
        own = [Entry(place=where, name=key, table=table) for key, table in methods.items() if key != OFF]
        arms.append(read_arm(name, base, own, template=template, optimizer_space=optimizer_space, off=off))
    sweep = Sweep(
        name=file.name or default_name,
        seed=file.seed,
        arms=tuple(arms),
        training=file.training,
        search=file.search,
        select=file.select,
        confirm=file.confirm,
        cluster=file.cluster,
    )
    for arm in sweep.arms:
        most = MAX_TRIALS - file.select.seeds  # whose seeds lie between those of search and confirm
        if sweep.budget(arm) > most:
            path = "trials" if file.search.trials else "trials_per_knob"
            raise Refused(
                f"search.{path}: expected at most {most} trials an arm, "
                f"given {sweep.budget(arm)} for {arm.name}, which searches {len(arm.space)} knobs"
            )
    return sweep


def _named(shelf: Shelf[Any], table: dict[str, Any], where: str, plugins: tuple[str, ...]) -> Plain:
    if "name" not in table:
        raise Refused(f"{where}.name: expected the name of a {shelf.noun}{nearest('', shelf.all(plugins))}")
    cls = shelf.find(table["name"], f"{where}.name", plugins)
    settings = {key: value for key, value in table.items() if key != "name"}
    return {"name": table["name"], **plain_settings(cls(**read_settings(cls, settings, where)))}


def _optimizer(table: dict[str, Any]) -> tuple[Plain, dict[str, Any]]:
    name = table.get("name", "sgd")
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise Refused(f"optimizer.name: unknown optimizer {shown(name)}{nearest(name, OPTIMIZERS)}")
    settings = {key: value for key, value in table.items() if key != "name"}
    row, space = read_searched(knobs(OPTIMIZERS[name]), settings, "optimizer")
    return {"name": name, **row}, {f"optimizer.{knob}": s for knob, s in space.items()}
