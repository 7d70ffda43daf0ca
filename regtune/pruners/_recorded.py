"""The pruner of a sweep as its log tells it: tables are made where a plugin that brought it need not be."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from regtune.core.header import SweepRecord
from regtune.core.knobs import knobs, plain_settings
from regtune.core.metric import Metric
from regtune.core.records import Json, Status
from regtune.core.registry import Registry
from regtune.pruners._base import Pruner

PRUNERS: Registry[Pruner] = Registry(package="regtune.pruners", base=Pruner, noun="pruner")  # type: ignore[type-abstract]  # a registry never instantiates its base
RECORDED = "pruning"  # of `[search]` in the header, for a pruner of a plugin


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What readers of a log want to know of a pruner, see `Pruner`.

    `ranked` says whether it goes by how rungs rank trials. `settings` are its knobs.
    """

    settings: Json
    at_rungs: bool
    finishes: frozenset[Status]
    rungs: tuple[int, ...]
    most_epochs: int
    words: str
    ranked: bool

    @classmethod
    def of(cls, pruner: Pruner, epochs: int, metric: Metric) -> Pruning:
        """Return what there is to know of a pruner of trials of so many epochs, whose scores are of this metric."""
        return cls(
            settings=plain_settings(pruner),
            at_rungs=pruner.at_rungs,
            finishes=pruner.finishes,
            rungs=pruner.rungs(epochs),
            most_epochs=pruner.most_epochs(epochs),
            words=pruner.words(metric),
            ranked=pruner.ladder(epochs) is not None,
        )

    def plain(self) -> Json:
        """Return it in strict JSON."""
        return asdict(self) | {"finishes": sorted(self.finishes), "rungs": list(self.rungs)}

    @classmethod
    def from_plain(cls, row: Json) -> Pruning:
        """Return it, from strict JSON."""
        return cls(**row | {"finishes": frozenset(row["finishes"]), "rungs": tuple(row["rungs"])})


def pruning_of(sweep: SweepRecord) -> Pruning:
    """Return what the header of a log says of its pruner.

    Logs from before pruners had names say only whether any trial could end early.
    """
    search = sweep.search.settings
    if RECORDED in search:
        return Pruning.from_plain(search[RECORDED])
    cls = PRUNERS.find(sweep.search.pruner, "search.pruner")
    settings = {name: search[name] for name in knobs(cls) if name in search}
    epochs = sweep.template["epochs"]
    return Pruning.of(cls(**settings), epochs, sweep.search.metric)
