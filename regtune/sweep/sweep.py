"""A sweep file: read and checked before anything starts; a mistake is one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from regtune.core.copies import copy_name, copy_plain
from regtune.core.errors import Refused, nearest, shown
from regtune.core.file_names import as_file, as_text
from regtune.core.halving import Selection
from regtune.core.header import SweepRecord
from regtune.core.html import html_table
from regtune.core.metric import METRICS
from regtune.core.plugins import find_beside
from regtune.core.records import FIRST, PHASES, Json, PhaseName
from regtune.core.resampling import MOST, rival_seeds
from regtune.core.sources import plugin_fingerprint
from regtune.pruners import PRUNERS, RECORDED, Pruner, Pruning
from regtune.samplers import RULES, SAMPLERS, SAMPLING, Sampler
from regtune.storage.layout import folders_beside, repeat_folder
from regtune.sweep.arms import Arm
from regtune.sweep.arms_reading import read_arms, splits_of
from regtune.sweep.pruner import check_search, read_pruner
from regtune.sweep.reading import read_file
from regtune.sweep.schema import (
    ClusterConfig,
    ConfirmConfig,
    Scope,
    SearchConfig,
    SelectConfig,
    SweepFile,
    TrainingConfig,
)
from regtune.sweep.scope import check_sweep, lacking_copy, lacking_over_searches
from regtune.sweep.searched import knob_rows
from regtune.sweep.seeds import SHIFT, Seeds


class Sweep(Seeds):
    """A checked sweep. `arms` in the order of the file; the first is what the others are compared to.
    `repeat` is the number of this repeat, from 1, where the whole sweep is repeated, see `nth`. `sampling` is the
    version of the rules of samplers that learn, see `samplers.SAMPLING`. `reuse` has results folders to reuse.
    """

    name: str
    arms: tuple[Arm, ...]
    training: TrainingConfig
    search: SearchConfig
    select: SelectConfig
    confirm: ConfirmConfig
    cluster: ClusterConfig
    repeat: int = 1
    sampling: int = SAMPLING
    reuse: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        path: str | Path,
        plugins: tuple[str, ...] = (),
        changes: Sequence[str] = (),
        *,
        download: bool = False,
    ) -> Sweep:
        """Read a sweep file; raises Refused with file, path, expectation, value and remedy.

        `changes` are settings in place of those of the file, as `training.epochs=10`: a path and a TOML value. With
        `download` published weights that its network starts from are fetched where they are missing.
        """
        source = Path(path)
        try:
            return _checked(read_file(source, changes), plugins, source, download=download)
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
        """Return a repeat of the whole sweep; 1 is the sweep itself, the others have other seeds, knobs and noise."""
        return self.model_copy(update={"seed": self.seed + repeat - self.repeat, "repeat": repeat})

    def every_repeat(self) -> list[Sweep]:
        """Return all repeats that the file asks for, in their order."""
        return [self.nth(repeat) for repeat in range(1, self.search.repeats + 1)]

    def as_in(self, rows: Sequence[Json]) -> Sweep:
        """Return the sweep as it resumes where there are these rows of a log: by the rules that it began with."""
        header = next((row["sweep"] for row in reversed(rows) if row["event"] == "header"), None)
        return self.model_copy(update={"sampling": SAMPLING if header is None else header["search"].get(RULES, 1)})

    def folder(self, results: Path) -> Path:
        """Return the folder of this repeat below the one under which all sweeps have theirs."""
        return repeat_folder(results / as_file(self.name), self.repeat)

    def budget(self, arm: Arm) -> int:
        """Return the planned search trials of an arm; per knob means per path, idle or not: D of Kadra's 40 × D."""
        if self.shift and self.search.sampler == "paired":  # another search would have those of the baseline
            return 0
        return self.search.trials or (self.search.trials_per_knob or 1) * max(len(arm.space), 1)

    @property
    def copied(self) -> Sweep | None:
        """The hidden copy of the baseline as a sweep of one arm, see `copies`; None where there is none."""
        if self.shift or not (not self.lacking_copy if self.confirm.aa is None else self.confirm.aa):
            return None
        arm = replace(self.arms[0], name=copy_name(self.baseline))
        return self.model_copy(update={"arms": (arm,), "shift": SHIFT})

    @property
    def with_copy(self) -> list[tuple[Sweep, Arm]]:
        """Every arm, and the copy, each with the sweep that it is trained in."""
        return [(sweep, arm) for sweep in (self, self.copied) if sweep is not None for arm in sweep.arms]

    def can_be_off(self, arm: Arm) -> bool:
        """Return whether the baseline's choice is a candidate of an arm too, as the arm with its methods off.

        Only where draws are paired, or the arm would draw twice as often as the baseline; by several seeds, never by
        one score; and where the baseline has nothing that the arm has not.
        """
        paired = self.search.sampler == "paired" and self.select.seeds > 1
        return paired and arm.neutral and arm.name != self.baseline and not self.arms[0].own

    def in_lanes(self, width: int | Literal["auto"] | None) -> Sweep:
        """Return the sweep with another width of its lanes; None leaves it as it is."""
        return (
            self
            if width is None
            else self.model_copy(update={"cluster": self.cluster.model_copy(update={"lane_width": width})})
        )

    @property
    def adaptive(self) -> bool:
        """Whether search draws by what it has found so far."""
        return self._sampler.adaptive

    @property
    def order(self) -> Sequence[PhaseName]:
        """The order of all phases: a race looks at its scores with those of the rivals beside them."""
        return ("search", "select", "rivals", "confirm") if self.confirm.racing else PHASES

    @property
    def phases(self) -> list[PhaseName]:
        """The phases that this sweep has, in their order."""
        absent = {"select": not self.select.seeds, "rivals": self.scope != "searches"}
        return [phase for phase in self.order if not absent.get(phase)]

    def most_trials(self, phase: PhaseName, arm: Arm) -> int:
        """Return how many trials of an arm a phase of this sweep takes at most."""
        if phase == "search":
            return self.budget(arm)
        if phase == "select":
            return Selection(**self.select.model_dump(), examples=None).trials
        return self.confirm.seeds if phase == "confirm" else MOST * self.rival_seeds

    def most_epochs(self, phase: PhaseName) -> int:
        """Return how many epochs a trial of a phase takes at most, a second training included."""
        once = self.training.epochs
        again = {"none": 0, "loss": self.confirm.retrain_cap}.get(self.confirm.retrain, once)
        return {"search": self.pruner.most_epochs(once), "select": once}.get(phase, once + again)

    @property
    def scope(self) -> Scope:
        """What verdicts are about: all searches that this one is a draw of, or the configuration that it has found.

        The first takes a select of several seeds, trials that depend on no other's score, and seeds for an interval;
        where the file says nothing it is where these are there.
        """
        return self.confirm.scope or ("configuration" if self.lacking_scope else "searches")

    @property
    def lacking_scope(self) -> str:
        """What verdicts over searches lack, as what to change."""
        return lacking_over_searches(
            self.search, self.select, self.confirm, adaptive=self._sampler.adaptive, pruner=self.pruner
        )

    @property
    def pruner(self) -> Pruner:
        """What says which search trials end early."""
        return read_pruner(self.search, self.arms[0].template.plugins)

    @property
    def _sampler(self) -> type[Sampler]:
        return SAMPLERS.find(self.search.sampler, "search.sampler", self.arms[0].template.plugins)

    @property
    def lacking_copy(self) -> str:
        """What a hidden copy of the baseline lacks, as what to change."""
        return lacking_copy(self.select, self.confirm, trials=max(map(self.budget, self.arms)))

    @property
    def rival_seeds(self) -> int:
        """On how many seeds rivals of a choice are confirmed."""
        return rival_seeds(self.confirm.seeds, self.confirm.first if self.confirm.racing else None)

    @property
    def recorded(self) -> SweepRecord:
        """The sweep as readers of its log see it."""
        return SweepRecord.of(self.plain())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the arms with what each phase trains of them at most, and their knobs."""
        arms = [(arm.name, *(self.most_trials(phase, arm) for phase in self.phases)) for arm in self.arms]
        template = self.arms[0].template
        caption = f"{self.name}: {template.network['name']} on {template.data['name']}, trials of at most"
        caption += f" {self.training.epochs} epochs"
        return html_table(("arm", *self.phases), arms, caption) + html_table((), knob_rows(self), "knobs")

    def plain(self) -> Json:
        """Return what the log's header records: enough to see whether two sweeps are the same."""
        # There may be more repeats at any time; logs of sweeps without a control share stay those of the same sweep.
        unsaid = self.search.unsaid("control", "metric", "stream")
        search = self.search.model_dump(exclude={"repeats", FIRST, *unsaid, *(self.search.model_extra or ())})
        if self.search.pruner not in PRUNERS.all():  # tables are made without the plugin that brought it
            pruning = Pruning.of(self.pruner, self.training.epochs, METRICS[self.search.metric])
            search[RECORDED] = pruning.plain()
        if self.search.stream == self.name:  # which it is without it
            search.pop("stream", None)
        search |= {RULES: self.sampling} if self._sampler.adaptive and self.sampling > 1 else {}
        return {
            "name": self.name,
            "seed": self.seed,
            **({"repeat": self.repeat} if self.repeat > 1 else {}),
            "arms": {
                arm.name: arm.plain(trials=self.budget(arm), can_be_off=self.can_be_off(arm)) for arm in self.arms
            },
            "plugins": {name: plugin_fingerprint(name) for name in self.arms[0].template.plugins},
            "search": search,
            **({"select": self.select.model_dump()} if self.select.seeds else {}),
            "cluster": self.cluster.model_dump(),
            # What is asked for beside the rest, and terms of a race, likewise.
            "training": self.training.model_dump(exclude=self.training.unsaid("tightness", "balance")),
            "confirm": self.confirm.model_dump(
                exclude={"scope", "aa", *self.confirm.unsaid("relevant", "metric", "racing")}
                | (set() if self.confirm.racing else {"first"})
            )
            | ({"scope": "searches"} if self.scope == "searches" else {}),
            **({"aa": copy_plain(self.baseline)} if self.copied else {}),
        }


def _checked(file: SweepFile, plugins: tuple[str, ...], source: Path, *, download: bool) -> Sweep:
    find_beside([*file.plugins, *plugins], source.parent)
    check_search(file.search, file.training.epochs, [*file.plugins, *plugins])
    arms = read_arms(file, plugins, download=download)
    sweep = Sweep(
        name=file.name or as_text(source.stem),
        seed=file.seed,
        arms=arms,
        training=file.training,
        search=file.search,
        select=file.select,
        confirm=file.confirm.model_copy(update={"splits": file.confirm.splits or splits_of(arms[0])}),
        cluster=file.cluster,
        reuse=folders_beside(file.reuse, source.parent),
    )
    check_sweep(sweep, file)
    return sweep
