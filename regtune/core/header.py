"""The sweep as the header of a log records it: typed, and the one place that knows what older logs left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regtune.core.metric import METRICS, Metric
from regtune.core.records import FIRST, Json, Retrain


@dataclass(frozen=True, kw_only=True)
class ArmRecord:
    """An arm: the plain `template` of its trials, the plain `space` of each searched knob by path, its search trials.

    `can_be_off` says that the baseline's trials are candidates of it. `conditions` say when a knob is drawn; `first`
    are the points that a person has named to be searched first.
    """

    template: Json
    space: Json
    trials: int
    can_be_off: bool
    conditions: Mapping[str, str]
    first: Sequence[Json]

    @classmethod
    def of(cls, row: Json) -> ArmRecord:
        """Return that of a row; raises KeyError where it lacks what every version wrote."""
        return cls(
            template=row["template"],
            space=row["space"],
            trials=row["trials"],
            can_be_off=row.get("off", False),
            conditions=row.get("conditions", {}),
            first=row.get(FIRST, ()),
        )


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """`[search]`. `sampler` is None where the log is older than samplers. `settings` has everything as it stands."""

    sampler: str | None
    metric: Metric
    control: float
    stop_after: int | None
    stream: str | None
    settings: Json

    @classmethod
    def of(cls, row: Json) -> SearchRecord:
        """Return that of a row."""
        return cls(
            sampler=row.get("sampler"),
            metric=METRICS[row.get("metric", "accuracy")],
            control=row.get("control", 0.0),
            stop_after=row.get("stop_after"),
            stream=row.get("stream"),
            settings=row,
        )

    @property
    def pruner(self) -> str:
        """The name of the pruner; logs from before there were names say only whether any trial could end early."""
        return str(self.settings.get("pruner") or ("asha" if self.settings.get("prune", True) else "none"))


@dataclass(frozen=True, kw_only=True)
class SelectRecord:
    """`[select]`, see `schema.SelectConfig`."""

    candidates: int
    most: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class ConfirmRecord:
    """`[confirm]`, see `schema.ConfirmConfig`. A race first looks after `first` seeds, None without."""

    seeds: int
    first: int | None
    metric: Metric
    scope: Literal["searches", "configuration"]
    splits: Literal["one", "fresh"]
    retrain: Retrain
    retrain_cap: int
    relevant: float | None

    @classmethod
    def of(cls, row: Json) -> ConfirmRecord:
        """Return that of a row."""
        return cls(
            seeds=row["seeds"],
            first=row["first"] if row.get("racing") else None,
            metric=METRICS[row.get("metric", "accuracy")],
            scope=row.get("scope") or "configuration",
            splits=row.get("splits") or "one",
            retrain=row.get("retrain", "none"),
            retrain_cap=row.get("retrain_cap", 0),
            relevant=row.get("relevant"),
        )

    @property
    def racing(self) -> bool:
        """Whether arms get seeds until their differences are resolved."""
        return self.first is not None

    @property
    def over_searches(self) -> bool:
        """Whether verdicts are about searches of this kind, of which this one is a draw."""
        return self.scope == "searches"


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """A sweep: its arms by name, the first of which is the `baseline`, and its phases.

    `copy` is the name of the baseline's hidden copy, None where there is none. `select` is None where the best score of
    search decides. `repeat` counts from 1.
    """

    name: str
    seed: int
    repeat: int
    arms: Mapping[str, ArmRecord]
    plugins: Mapping[str, str]
    search: SearchRecord
    select: SelectRecord | None
    confirm: ConfirmRecord
    gpus_per_trial: float
    copy: str | None

    @classmethod
    def of(cls, row: Json) -> SweepRecord:
        """Return the sweep of a header, `header["sweep"]`."""
        select = row.get("select")
        return cls(
            name=row["name"],
            seed=row["seed"],
            repeat=row.get("repeat", 1),
            arms={name: ArmRecord.of(arm) for name, arm in row["arms"].items()},
            plugins=row.get("plugins", {}),
            search=SearchRecord.of(row["search"]),
            select=SelectRecord(**select) if select else None,
            confirm=ConfirmRecord.of(row["confirm"]),
            gpus_per_trial=row.get("cluster", {}).get("gpus_per_trial", 0.0),
            copy=row["aa"]["arm"] if "aa" in row else None,
        )

    @property
    def baseline(self) -> str:
        """The name of the first arm."""
        return next(iter(self.arms))

    @property
    def template(self) -> Json:
        """The plain template of the baseline's trials: its network, data and epochs are those of all arms."""
        return self.arms[self.baseline].template

    @property
    def paired(self) -> bool:
        """Whether trial n has the same shared knobs in all arms."""
        return self.search.sampler == "paired"
