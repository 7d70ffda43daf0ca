"""A phase of a sweep: what goes between a board and whoever trains. It writes, then it acts.

Also the way back: `Phase` starts by replaying its part of the log to the board. Trials that ended stay
ended; one that was interrupted is handed out again, first, and its epochs that the log has already are
neither written nor told twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from regtune.board import Asked, Board, Decision
from regtune.log import Log
from regtune.records import Cell, Epoch, Outcome, Plain, Trial


class Phase:
    """One phase under way. `watch` is called with every row, replayed or new, in order."""

    def __init__(
        self, *, board: Board, log: Log, watch: Callable[[str, Plain], None] = lambda event, row: None
    ) -> None:
        self._board, self._log, self._watch = board, log, watch
        self._told: Counter[Cell] = Counter()
        self._known: dict[Cell, list[Plain]] = {}
        self._ended: set[Cell] = set()
        self._interrupted: dict[Cell, Asked] = {}
        planned, doomed = set(board.planned), {}
        for row in log.rows:
            cell = cell_of(row)
            if cell not in planned:
                continue
            if row["event"] == "asked":
                asked = Asked(cell, Trial.from_plain(row["trial"]), row["params"])
                self._interrupted[cell] = asked
                board.asked_before(asked)
            elif row["event"] == "epoch":
                epoch = Epoch.from_plain(row["epoch"])
                self._told[cell] += 1
                self._known.setdefault(cell, []).append(epoch.numbers())
                if board.tell(cell, epoch) == "stop":
                    doomed[cell] = _pruned(epoch, board.why)
                elif epoch.outcome is not None:
                    doomed[cell] = epoch.outcome
            elif row["event"] == "ended":
                self._close(cell, Outcome(**row["outcome"]))
                doomed.pop(cell, None)
            watch(row["event"], row)
        for cell, outcome in doomed.items():  # killed between the last epoch and the row that ends it
            self.end(cell, outcome)

    @property
    def done(self) -> bool:
        """Whether every planned trial has ended."""
        return len(self._ended) == len(self._board.planned)

    def ask(self) -> Asked | None:
        """Return the next trial to run, or None when there is none left to hand out."""
        if self._interrupted:
            return self._interrupted.pop(next(iter(self._interrupted)))
        asked = self._board.ask()
        if asked is not None:
            self._write(
                "asked",
                asked.cell,
                {"id": asked.trial.id, "params": dict(asked.params), "trial": asked.trial.plain()},
            )
        return asked

    def tell(self, cell: Cell, epochs: Iterable[Epoch]) -> Decision:
        """Record epochs of a trial; return "stop" as soon as one of them decides that."""
        for epoch in epochs:
            if cell in self._ended:
                return "stop"
            if epoch.number <= self._told[cell]:
                if epoch.numbers() != self._known[cell][epoch.number - 1]:
                    self.end(cell, _unlike(epoch))
                    return "stop"
                continue
            self._told[cell] = epoch.number
            self._write("epoch", cell, {"epoch": epoch.plain()})
            if self._board.tell(cell, epoch) == "stop":
                self.end(cell, _pruned(epoch, self._board.why))
                return "stop"
            if epoch.outcome is not None:
                self.end(cell, epoch.outcome)
        return "go"

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Record how a trial ended; a second end of the same trial changes nothing."""
        if cell not in self._ended:
            self._write("ended", cell, {"outcome": outcome.plain()})
            self._close(cell, outcome)

    def _close(self, cell: Cell, outcome: Outcome) -> None:
        self._ended.add(cell)
        self._known.pop(cell, None)
        self._interrupted.pop(cell, None)
        self._board.end(cell, outcome)

    def _write(self, event: str, cell: Cell, fields: Plain) -> None:
        row = {"cell": list(cell), **fields}
        self._log.append(event, row)
        self._watch(event, row)


def cell_of(row: Plain) -> Cell | None:
    """Return the cell that a row of the log is about, None for the header."""
    return Cell(*row["cell"]) if "cell" in row else None


def _pruned(epoch: Epoch, why: str) -> Outcome:
    return Outcome(status="pruned", message=f"after epoch {epoch.number} {why}", kept=epoch.kept)


def _unlike(epoch: Epoch) -> Outcome:
    message = f"begun again it gave other numbers than the log has in epoch {epoch.number}: not the same trial here"
    return Outcome(status="failed", message=message, kept=epoch.kept)


def failed(error: Exception) -> Outcome:
    """Return the outcome of a trial whose own code raised."""
    text = " ".join(str(error).split())[:500]
    return Outcome(status="failed", message=f"{type(error).__name__}: {text}")
