"""What a run would do with the results that are there: `regtune run --dry-run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table

from regtune.core.records import Json, TrialKey
from regtune.core.records import PhaseName as Name
from regtune.execution.past import Past
from regtune.execution.phases import SweepPhase, phases
from regtune.execution.repeats import extra_repeats
from regtune.execution.retry import RETRY, retry_of
from regtune.execution.reuse import check_reuse, reusable
from regtune.execution.run import RunOptions
from regtune.execution.trained import Trained
from regtune.execution.trial_environment import data_identity
from regtune.search.scheduler import Scheduler
from regtune.storage.bundles import Event
from regtune.storage.checkpoints import Checkpoints, Saved
from regtune.storage.compatibility import check_same
from regtune.storage.layout import LOG
from regtune.storage.log import Hearer, LogFile, check_not_compressed
from regtune.sweep.arms import Arm
from regtune.sweep.resumed import as_resumed
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_pool


class _Read(LogFile):
    """A log that is only read: a phase that is asked what it would take over writes nothing.

    What a run would write is kept here, at places behind the end of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._unwritten: list[Json] = []

    def add(self, row: Json, hearer: Hearer) -> None:
        """Have a row, behind all others, that a run would write first."""
        place = self._keep(row)
        self.rows.append(row)
        self.places.append(place)
        hearer.take(place, row)

    def append(self, event: str, fields: Json) -> int:
        """Write nothing."""
        return self._keep({"event": event, "time": self.newest, **fields})

    def append_all(self, events: Sequence[Event]) -> list[int]:
        """Write nothing."""
        return [self.append(event, fields) for event, fields in events]

    def read(self, place: int) -> Json:
        """Return the row at a place, also one that was not written."""
        return super().read(place) if place < self.size else self._unwritten[place - self.size]

    def _keep(self, row: Json) -> int:
        self._unwritten.append(row)
        return self.size + len(self._unwritten) - 1


class _Seen(Checkpoints):
    """Files of which only the first line is read, and none is written or removed."""

    def save(self, key: TrialKey, saved: Saved) -> None:
        """Write nothing."""

    def load(self, key: TrialKey) -> Saved | None:
        """Return whose bytes those of a trial key are, without the bytes; None where there are none."""
        try:
            with self.path(key).open("rb") as file:
                head = json.loads(file.readline())
            return Saved(id=str(head["id"]), epoch=int(head["epoch"]), content=b"")
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def drop(self, key: TrialKey) -> None:
        """Remove nothing."""


def forecast_all(sweep: Sweep, results: Path, options: RunOptions) -> Group:
    """Return what is done and left of every repeat of a sweep, ready to print; raises Refused as a run would."""
    every = sweep.every_repeat()
    lines = [f"{len(every)} repeats of the sweep, seed = {sweep.seed} to {every[-1].seed}"] if len(every) > 1 else []
    each = (forecast(one, results, options) for one in every)
    return Group(*lines, *extra_repeats(sweep, results), *each)


def forecast(sweep: Sweep, results: Path, options: RunOptions) -> Group:
    """Return what is done and what is left of one repeat of a sweep, ready to print; raises Refused as a run would.

    Where the sweep reuses trials of other logs its data are read from `place`: trials on other data are of no use.
    """
    path = sweep.folder(results) / LOG
    check_not_compressed(path)
    log, past = _Read(path), Past()
    if path.exists():
        log.hear(past)
    again = retry_of(log.rows, sweep) if options.retry_failed else None
    sweep = as_resumed(sweep, log.rows)
    lines = check_same(path, log.rows, sweep.plain(), again.mended if again else ())
    lines += again.words() if again else []
    if again:
        log.add({"event": RETRY, "time": log.newest, **again.row()}, past)
    lines += ["the last line of the log was cut off by a crash and is ignored"] if log.torn else []
    trained = Trained(past.trials, log.read)
    if sweep.reuse:
        check_reuse(sweep, results)
        templates = [arm.template for arm in sweep.arms]
        others = reusable(sweep, data_identity(load_pool(templates[0], options.place), templates))
        trained.lend(others.runs)
        lines += others.words
    # Before a phase is over, what the next is to do may still change.
    made: dict[str, _Made] = {}
    for phase in phases(sweep, log, trained=trained, files=_Seen):
        made[phase.name] = _Made.of(phase, taking=bool(sweep.reuse))
        if not phase.controller.done:
            break
    table = Table(title=f"{path}: nothing was started", title_justify="left")
    table.add_column("arm", no_wrap=True)
    for name in sweep.phases:
        for heading in (f"{name} done", "resume", "to train"):
            table.add_column(heading, justify="right")
    for one, arm in sweep.with_copy:
        counts = [count for name in sweep.phases for count in _counts(made.get(name), arm, one, name)]
        table.add_row(arm.name, *map(str, counts))
    if sweep.reuse:
        taken = ", ".join(f"{name} {len(each.reused)}" for name, each in made.items() if name in sweep.phases)
        lines.append(f"reused instead of trained: {taken} trials")
    interrupted = [pair for each in made.values() for pair in each.begun.items() if pair[0] not in each.reused]
    lines += [f"{key} resumes; the log has {epochs} of its epochs" for key, epochs in interrupted]
    if sweep.select.seeds and "confirm" not in made:
        lines.append("select: at most as many trials as the table shows; each round depends on the one before")
    if sweep.scope == "searches" and "rivals" not in made:
        lines.append(
            "rivals: at most as many trials as the table shows, of configurations that search and select nearly chose"
        )
    if sweep.confirm.racing:
        lines.append(
            f"racing: confirm takes up to {sweep.confirm.seeds} seeds per arm, more than the first only where needed"
        )
    return Group(*lines, table)


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A phase of a dry run: what had `ended` and was `begun`, and what is `reused` when it is asked for trials."""

    scheduler: Scheduler
    ended: frozenset[TrialKey]
    begun: dict[TrialKey, int]
    reused: frozenset[TrialKey]

    @classmethod
    def of(cls, phase: SweepPhase, *, taking: bool) -> _Made:
        """Return what a phase has; with `taking` it takes what it is given without training, and asks no more."""
        ended, begun = frozenset(phase.controller.ended), phase.controller.open()
        while taking and phase.controller.ask() is not None:
            continue
        return cls(
            scheduler=phase.scheduler, ended=ended, begun=begun, reused=frozenset(phase.controller.ended) - ended
        )


def _counts(made: _Made | None, arm: Arm, sweep: Sweep, name: Name) -> tuple[int, int, int]:
    """Return how many trials of an arm have ended, resume, and are still to be begun; no others are to be trained."""
    if made is None:
        return 0, 0, sweep.most_trials(name, arm)
    planned, ended, begun, reused = (
        sum(key.arm == arm.name for key in keys)
        for keys in (made.scheduler.planned, made.ended, set(made.begun) - made.reused, made.reused)
    )
    return ended, begun, planned - ended - begun - reused
