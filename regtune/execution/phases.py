"""The phases of a sweep in their order, each made from what the log says when the one before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from regtune.core.metric import METRICS
from regtune.core.records import PhaseName
from regtune.core.selection import merge_scored
from regtune.execution.controller import PhaseController
from regtune.execution.kept_weights import KeptWeights
from regtune.execution.limits import Spent
from regtune.execution.trained import Trained
from regtune.execution.watch import Watch
from regtune.search.arms_and_copy import ArmsAndCopy
from regtune.search.confirm import ConfirmScheduler
from regtune.search.rivals import RivalsScheduler
from regtune.search.scheduler import Scheduler
from regtune.search.search import SearchScheduler
from regtune.search.select import SelectScheduler
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.log import Writer
from regtune.sweep.sweep import Sweep


class SweepPhase(NamedTuple):
    """A phase of a sweep by its name, with what runs it and what plans it."""

    name: PhaseName
    controller: PhaseController
    scheduler: Scheduler


def phases(
    sweep: Sweep,
    log: Writer,
    *,
    trained: Trained,
    watch: Watch = lambda event, row: None,
    spent: Spent | None = None,
    files: type[Checkpoints] = Checkpoints,
) -> Iterator[SweepPhase]:
    """Yield the phases of a sweep: the next may be asked for when the one before is done.

    What select compares needs all of search, confirm's choice all of both; a phase replays its rows when it is made, so
    each is made once. `trained` and `files` are as in `PhaseController`. Beside the arms goes the hidden copy of the
    baseline, where there is one.
    """

    def phase(name: PhaseName, scheduler: Scheduler) -> SweepPhase:
        controller = PhaseController(
            scheduler=scheduler,
            log=log,
            watch=watch,
            retries=sweep.cluster.retries,
            spent=spent if name == "search" else None,
            trained=trained,
            files=files,
            weights=_weights(sweep, files(log.path.parent / "weights")) if name == "confirm" else None,
            phase=name,
        )
        return SweepPhase(name, controller, scheduler)

    for name, arms, copy in _schedulers(sweep):
        yield phase(name, arms if copy is None else ArmsAndCopy(arms, copy))


def _weights(sweep: Sweep, files: Checkpoints) -> KeptWeights | None:
    """Return what keeps the weights of confirmed trials, None where none are kept."""
    if sweep.confirm.weights is False:
        return None
    best = sweep.confirm.weights == "best"
    return KeptWeights(files, metric=METRICS[sweep.search.metric], only_best=best)


def _schedulers(sweep: Sweep) -> Iterator[tuple[PhaseName, Scheduler, Scheduler | None]]:
    """Yield the schedulers of each phase, of the arms and of the copy, when the one before is done."""
    copied = sweep.copied
    search = SearchScheduler(sweep)
    shared = search.arms[sweep.baseline] if copied and not copied.budget(copied.arms[0]) else None
    own = SearchScheduler(copied, shared) if copied else None
    yield "search", search, own
    select = SelectScheduler(sweep, search)
    copy = SelectScheduler(copied, own) if copied and own else None
    yield "select", select, copy
    rivals = RivalsScheduler(sweep, select, select.scored)
    theirs = RivalsScheduler(copied, copy, merge_scored(select.scored, copy.scored)) if copied and copy else None
    for name in sweep.order[2:]:
        if name == "rivals":
            yield name, rivals, theirs
        else:
            confirm = ConfirmScheduler(copied, copy, theirs.beyond) if copied and copy and theirs else None
            yield name, ConfirmScheduler(sweep, select, rivals.beyond), confirm
