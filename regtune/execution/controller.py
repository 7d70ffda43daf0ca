"""A phase of a sweep: what goes between a scheduler and whoever trains. It writes, then it acts.

A phase begins with what its part of the log says (`recovery`). Trials that ended stay ended; one that was
interrupted is handed out again, first, with its newest checkpoint, and its epochs that the log has already
are neither written nor told twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from regtune.core.records import SAME, Epoch, Json, Outcome, PhaseName, TrialKey
from regtune.core.reused import REUSED
from regtune.execution.attempt import Report
from regtune.execution.kept_weights import KeptWeights
from regtune.execution.limits import Spent
from regtune.execution.recovery import Recovery, TrialProgress, pruned, unlike
from regtune.execution.resume import checkpoint_of, save
from regtune.execution.trained import RecordedTrials, Trained, epochs_at
from regtune.execution.trial_queue import Task, TrialQueue
from regtune.execution.watch import Watch
from regtune.search.scheduler import Decision, Scheduler
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.environment import same_class
from regtune.storage.log import Writer


class _Held(NamedTuple):
    """A row that waits to be written with others, and what is done then, given its place."""

    event: str
    row: Json
    then: list[Callable[[int], object]]


class PhaseController:
    """One phase under way. `watch` is called with every row that counts, replayed or new, in order.

    A trial is handed out again after as many as `retries` faults of the machine. `spent` says when the
    phase is to end early. What is in `trained` is not trained again, unless `weights` wants some that are not there.
    `files` is what checkpoints are kept in. Of the log the rows from the first to the last of `phase` are read again.
    """

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        log: Writer,
        retries: int,
        spent: Spent | None = None,
        trained: Trained | None = None,
        weights: KeptWeights | None = None,
        files: type[Checkpoints] = Checkpoints,
        watch: Watch = lambda event, row: None,
        phase: PhaseName | None = None,
    ) -> None:
        watch = watch if weights is None else weights.beside(watch)
        self._scheduler, self._log, self._watch, self._retries, self._spent = scheduler, log, watch, retries, spent
        self._trained, self._weights = trained or Trained(RecordedTrials(), log.read), weights
        self._checkpoints = files(log.path.parent / "checkpoints")
        self._recovery = Recovery(scheduler, log, retries, watch, phase)
        self._held: list[_Held] | None = None  # what is to be written at once
        self.ended = self._recovery.ended  # the trials that have ended
        self._queue = TrialQueue(self._recovery.open)  # those were asked for before
        self.lane_widths: dict[str, int] = {row["kind"]: row["width"] for row in log.rows if row["event"] == "lane"}

    @property
    def done(self) -> bool:
        """Whether every planned trial has ended, or the limit was reached."""
        return bool(self.closed) or len(self.ended) == len(self._scheduler.planned)

    @property
    def closed(self) -> str:
        """Why the trials that are left are not trained; empty where they are."""
        over = "" if self._spent is None else self._spent.over()
        return over if over and len(self.ended) < len(self._scheduler.planned) else ""

    @property
    def settled(self) -> bool:
        """Whether every end that was decided is in the log."""
        return not self._recovery.decided

    def settle(self) -> None:
        """Do what an earlier driver had decided and could not do any more: write ends, drop checkpoints."""
        for key, outcome in list(self._recovery.decided.items()):
            self.end(key, outcome)
        for key in self.ended:
            self._checkpoints.drop(key)
        if self._weights is not None:
            self._weights.settle()

    def open(self) -> dict[TrialKey, int]:
        """Return how many epochs the log has of each trial that was interrupted."""
        return {key: self._recovery.open[key].epochs for key in self._queue.waiting}

    def ask(self, *, ahead: bool = False) -> Task | None:
        """Return the next trial to run, or None when there is none left to hand out.

        One that is asked for `ahead` of its turn comes into the log by `record`, when it goes to a worker.
        """
        while not self.closed and (key := self._next(ahead=ahead)) is not None:
            progress = self._recovery.open[key]
            if self._has_it(key, progress):
                continue
            self._queue.hold(key, progress)
            progress.started = progress.differs = False
            avoid = tuple(dict.fromkeys(node for node in progress.faults if node))
            resume = checkpoint_of(key, progress, self._checkpoints)
            progress.after = resume.epoch if resume else 0
            if not ahead:
                self.record(key)
            faults = len(progress.faults)
            return Task(key=key, trial=progress.asked.trial, resume=resume, avoid=avoid, faults=faults)
        return None

    def record(self, key: TrialKey) -> None:
        """Write that a trial was asked for, if the log does not have it."""
        progress = self._recovery.open.get(key)
        if progress is not None and not progress.recorded:
            progress.recorded, asked = True, progress.asked
            row = {"id": asked.trial.id, "params": dict(asked.params), "trial": asked.trial.plain()}
            self._write("asked", key, row)

    def keep_lane_width(self, kind: str, width: int) -> None:
        """Record how wide lanes of a kind of trials are, see `lane_queue`."""
        self.lane_widths[kind] = width
        self._log.append("lane", {"kind": kind, "width": width})

    def take_all(self, reports: Sequence[tuple[TrialKey, Report]], where: Mapping[str, str]) -> list[TrialKey]:
        """Record what attempts report at once; return those that are to end.

        Of several it is written at once, when all are taken; then what follows from it is done.
        """
        if len(reports) < 2:
            return [key for key, report in reports if self.take(key, report, where) == "stop"]
        self._held = []
        try:
            stopped = [key for key, report in reports if self.take(key, report, where) == "stop"]
            held = self._held
        finally:
            self._held = None
        places = self._log.append_all([(each.event, each.row) for each in held])
        for each, place in zip(held, places, strict=True):
            self._watch(each.event, each.row)
            for act in each.then:
                act(place)
        return stopped

    def take(self, key: TrialKey, report: Report, where: Mapping[str, str]) -> Decision:
        """Record what an attempt reports; return "stop" where it is to end. `where` says on what it runs."""
        if key in self.ended:
            return "stop"
        progress = self._recovery.open[key]
        self.record(key)
        if not progress.started:
            self._write("started", key, {"where": dict(where), "after": progress.after, **progress.taken})
            progress.started = True
            progress.been.append(where)
        decision = self._tell(key, progress, report.epochs, where)
        if report.weights is not None and self._weights is not None:
            self._weights.save(key, report.weights)
        if report.outcome is not None:
            self.end(key, report.outcome)
        if report.checkpoint is not None and key not in self.ended:
            self._then(functools.partial(save, key, report.checkpoint, self._checkpoints))
        return "stop" if self.closed else decision

    def fault(self, key: TrialKey, message: str, node: str = "") -> None:
        """Record that a fault of the machine ended an attempt on a node: the trial is handed out again, or lost."""
        if key in self.ended:
            return
        progress = self._recovery.open[key]
        self.record(key)
        progress.faults.append(node)
        self._write("fault", key, {"message": message, "node": node})
        if len(progress.faults) > self._retries:
            text = f"lost to {len(progress.faults)} faults of the machine (cluster.retries), the last: {message}"
            self.end(key, Outcome(status="lost", message=text))
        else:
            self._queue.wait(key, progress)

    def is_last_attempt(self, key: TrialKey) -> bool:
        """Return whether another fault of the machine would be a trial's end."""
        return key not in self.ended and len(self._recovery.open[key].faults) >= self._retries

    def back(self, key: TrialKey) -> None:
        """Take back a trial that nobody runs any more, if it has not ended."""
        if key not in self.ended:
            self._queue.wait(key, self._recovery.open[key])

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Record how a trial ended; a second end of the same trial changes nothing."""
        if key not in self.ended:
            self.record(key)
            spared = self._scheduler.would_have_stopped_at(key)
            more = {} if spared is None else {"spared": spared}
            self._write("ended", key, {"outcome": outcome.plain(), **more})
            progress = self._recovery.open[key]
            self._queue.over(key, progress)
            if outcome.status == "ok" and SAME not in progress.taken:
                where = progress.been[-1] if progress.been else {}
                self._trained.keep(progress.asked.trial.id, key, progress.places, where, progress.taken.get(REUSED))
            self._recovery.close(key, outcome)
            self._then(functools.partial(self._checkpoints.drop, key))

    def _next(self, *, ahead: bool) -> TrialKey | None:
        """Return the trial key whose turn it is, of those that wait or else of the scheduler's.

        One that waits for another key with its trial is recorded, unless trials are asked for `ahead` of their turn: a
        driver that resumes would draw it by what came meanwhile.
        """
        while (key := self._queue.next(self._recovery.open)) is None:
            asked = self._scheduler.ask()
            if asked is None:
                return None
            self._recovery.open[asked.key] = progress = TrialProgress(asked=asked, recorded=False)
            self._queue.wait(asked.key, progress)
            if not ahead and self._queue.is_running(asked.trial.id):
                self.record(asked.key)
        return key

    def _has_it(self, key: TrialKey, progress: TrialProgress) -> bool:
        """Give a key what is known of its trial, if anything is; return whether it ended so: not all may be known."""
        run, trial = self._trained.find(progress.asked.trial.id), progress.asked.trial.id
        if run is None or len(run.epochs) <= progress.epochs:
            return False
        if self._weights is not None and not self._weights.hand_on(run, key, trial):
            return False
        progress.taken = {SAME: list(run.key)} if run.folder is None else {}
        progress.taken |= {} if run.origin is None else {REUSED: run.origin}
        progress.started, progress.after = False, 0
        self.record(key)
        self.take(key, Report(epochs=tuple(run.epochs)), run.where)
        progress.taken = progress.taken if key in self.ended else {}
        return key in self.ended

    def _tell(
        self, key: TrialKey, progress: TrialProgress, epochs: Iterable[Epoch], where: Mapping[str, str]
    ) -> Decision:
        for epoch in epochs:
            if epoch.number <= progress.epochs:
                if progress.differs or epoch.numbers() == self._numbers(key, progress, epoch.number):
                    continue
                if progress.asked.trial.device == "cpu" and all(same_class(where, place) for place in progress.been):
                    self.end(key, unlike(epoch))
                    return "stop"
                self._write("differs", key, {"epoch": epoch.number, "where": dict(where)})
                progress.differs = True
                continue
            progress.epochs += 1
            self._write("epoch", key, {"epoch": epoch.plain()}, progress.places.append)
            if self._spent is not None and not progress.taken:
                self._spent.add(epoch)
            if self._scheduler.tell(key, epoch) == "stop":
                self.end(key, pruned(epoch, self._scheduler.why))
                return "stop"
            if epoch.outcome is not None:
                self.end(key, epoch.outcome)
        return "go"

    def _numbers(self, key: TrialKey, progress: TrialProgress, number: int) -> Json:
        """Return what the log has of an epoch that was written before."""
        first = number - 1
        while first > 0 and progress.places[first - 1] == progress.places[number - 1]:  # several may stand at one place
            first -= 1
        return epochs_at(key, progress.places[first:number], self._log.read)[-1].numbers()

    def _write(self, event: str, key: TrialKey, fields: Json, *then: Callable[[int], object]) -> None:
        """Write a row, have it watched, and do what follows, given its place; or have that wait for others."""
        row = {"cell": list(key), **fields}
        if self._held is not None:
            self._held.append(_Held(event, row, [*then]))
            return
        place = self._log.append(event, row)
        self._watch(event, row)
        for act in then:
            act(place)

    def _then(self, act: Callable[[], object]) -> None:
        """Do something when all before it is written."""
        if self._held:
            self._held[-1].then.append(lambda place: act())
        else:
            act()
