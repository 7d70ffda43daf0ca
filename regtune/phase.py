"""A phase of a sweep: what goes between a board and whoever trains. It writes, then it acts.

A phase begins with what its part of the log says (`lives`). Trials that ended stay ended; one that was
interrupted is handed out again, first, with its newest checkpoint, and its epochs that the log has already
are neither written nor told twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regtune.attempt import Report
from regtune.boards import Board, Decision
from regtune.checkpoints import Checkpoints, Saved
from regtune.errors import Refused
from regtune.limits import Spent
from regtune.lives import Life, Lives, Watch, pruned, same_bits, unlike
from regtune.log import Writer
from regtune.records import Cell, Epoch, Outcome, Plain, Trial


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial handed out: where it goes on from, None for its beginning, and the nodes where it met faults."""

    cell: Cell
    trial: Trial
    resume: Saved | None
    avoid: tuple[str, ...]


class Phase:
    """One phase under way. `watch` is called with every row that counts, replayed or new, in order.

    A trial is handed out again after as many as `retries` faults of the machine. `spent` says when the
    phase is to end early.
    """

    def __init__(
        self,
        *,
        board: Board,
        log: Writer,
        retries: int,
        spent: Spent | None = None,
        watch: Watch = lambda event, row: None,
    ) -> None:
        self._board, self._log, self._watch, self._retries, self._spent = board, log, watch, retries, spent
        self._checkpoints = Checkpoints(log.path.parent / "checkpoints")
        self._weights = Checkpoints(log.path.parent / "weights")
        self._lives = Lives(board, log.rows, retries, watch)
        self.ended = self._lives.ended  # the trials that have ended
        self._waiting = dict.fromkeys(self._lives.open)  # handed out before, and in nobody's hands now

    @property
    def done(self) -> bool:
        """Whether every planned trial has ended, or the limit was reached."""
        return bool(self.closed) or len(self.ended) == len(self._board.planned)

    @property
    def closed(self) -> str:
        """Why the trials that are left are not trained; empty where they are."""
        return self._spent.over() if self._spent is not None and len(self.ended) < len(self._board.planned) else ""

    @property
    def settled(self) -> bool:
        """Whether every end that was decided is in the log."""
        return not self._lives.doomed

    def settle(self) -> None:
        """Do what an earlier driver had decided and could not do any more: write ends, drop checkpoints."""
        for cell, outcome in list(self._lives.doomed.items()):
            self.end(cell, outcome)
        for cell in self.ended:
            self._checkpoints.drop(cell)

    def open(self) -> dict[Cell, int]:
        """Return how many epochs the log has of each trial that was interrupted."""
        return {cell: len(self._lives.open[cell].epochs) for cell in self._waiting}

    def ask(self) -> Task | None:
        """Return the next trial to run, or None when there is none left to hand out."""
        if self.closed:
            return None
        if self._waiting:
            cell = next(iter(self._waiting))
            del self._waiting[cell]
        else:
            asked = self._board.ask()
            if asked is None:
                return None
            cell = asked.cell
            row = {"id": asked.trial.id, "params": dict(asked.params), "trial": asked.trial.plain()}
            self._write("asked", cell, row)
            self._lives.open[cell] = Life(asked=asked)
        life = self._lives.open[cell]
        life.started = life.differs = False
        avoid = tuple(dict.fromkeys(node for node in life.faults if node))
        resume = self._resume(cell, life)
        life.after = resume.epoch if resume else 0
        return Task(cell=cell, trial=life.asked.trial, resume=resume, avoid=avoid)

    def take(self, cell: Cell, report: Report, where: Mapping[str, str]) -> Decision:
        """Record what an attempt reports; return "stop" where it is to end. `where` says on what it runs."""
        if cell in self.ended:
            return "stop"
        life = self._lives.open[cell]
        if not life.started:
            self._write("started", cell, {"where": dict(where), "after": life.after})
            life.started = True
            life.been.append(where)
        decision = self._tell(cell, life, report.epochs, where)
        if report.weights is not None:
            self._weights.save(cell, report.weights)
        if report.outcome is not None:
            self.end(cell, report.outcome)
        if report.checkpoint is not None and cell not in self.ended:
            self._save(cell, report.checkpoint)
        return "stop" if self.closed else decision

    def fault(self, cell: Cell, message: str, node: str = "") -> None:
        """Record that a fault of the machine ended an attempt on a node: the trial is handed out again, or lost."""
        if cell in self.ended:
            return
        life = self._lives.open[cell]
        life.faults.append(node)
        self._write("fault", cell, {"message": message, "node": node})
        if len(life.faults) > self._retries:
            text = f"lost to {len(life.faults)} faults of the machine (cluster.retries), the last: {message}"
            self.end(cell, Outcome(status="lost", message=text))
        else:
            self._waiting[cell] = None

    def back(self, cell: Cell) -> None:
        """Take back a trial that nobody runs any more, if it has not ended."""
        if cell not in self.ended:
            self._waiting[cell] = None

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Record how a trial ended; a second end of the same trial changes nothing."""
        if cell not in self.ended:
            spared = self._board.spared(cell)
            more = {} if spared is None else {"spared": spared}
            self._write("ended", cell, {"outcome": outcome.plain(), **more})
            self._lives.close(cell, outcome)
            self._waiting.pop(cell, None)
            self._checkpoints.drop(cell)

    def _tell(self, cell: Cell, life: Life, epochs: Iterable[Epoch], where: Mapping[str, str]) -> Decision:
        for epoch in epochs:
            if epoch.number <= len(life.epochs):
                if epoch.numbers() == life.epochs[epoch.number - 1] or life.differs:
                    continue
                if life.asked.trial.device == "cpu" and all(same_bits(where, place) for place in life.been):
                    self.end(cell, unlike(epoch))
                    return "stop"
                self._write("differs", cell, {"epoch": epoch.number, "where": dict(where)})
                life.differs = True
                continue
            life.epochs.append(epoch.numbers())
            self._write("epoch", cell, {"epoch": epoch.plain()})
            if self._spent is not None:
                self._spent.add(epoch)
            if self._board.tell(cell, epoch) == "stop":
                self.end(cell, pruned(epoch, self._board.why))
                return "stop"
            if epoch.outcome is not None:
                self.end(cell, epoch.outcome)
        return "go"

    def _save(self, cell: Cell, checkpoint: Saved) -> None:
        try:
            self._checkpoints.save(cell, checkpoint)
        except OSError as error:  # the trial goes on; only what it would go on from is older
            warnings.warn(f"{self._checkpoints.path(cell)}: not written: {error.strerror or error}", stacklevel=2)

    def _resume(self, cell: Cell, life: Life) -> Saved | None:
        """Return the newest checkpoint of a trial, None where it begins at the beginning."""
        try:
            saved = self._checkpoints.load(cell)
        except Refused as error:
            warnings.warn(f"{error}; the trial begins at its first epoch", stacklevel=2)
            return None
        if saved is None or saved.id != life.asked.trial.id:
            return None
        if saved.epoch > len(life.epochs):  # the log lost rows, as when a machine loses power
            warnings.warn(
                f"{self._checkpoints.path(cell)}: expected at most the {len(life.epochs)} epochs that the log has, "
                f"given {saved.epoch}; the trial begins at its first epoch",
                stacklevel=2,
            )
            return None
        return saved

    def _write(self, event: str, cell: Cell, fields: Plain) -> None:
        row = {"cell": list(cell), **fields}
        self._log.append(event, row)
        self._watch(event, row)
