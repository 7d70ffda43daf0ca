"""Boards and logs of a few made-up trials, for phases by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regtune.core.records import Cell, Outcome, Phase, Plain
from regtune.search.scheduler import Asked, Listed
from tests.conftest import small_trial


class Twins(Listed):
    """Two arms, a and b, that hold the same trials of a phase, `count` of them; `changes` are of these trials."""

    def __init__(self, phase: Phase = "search", count: int = 2, **changes: Any) -> None:
        super().__init__()
        self._changes = changes
        self.plan(Cell(arm, phase, n) for n in range(count) for arm in ("a", "b"))

    def at(self, cell: Cell) -> Asked:
        return Asked(cell, small_trial(seed=cell.number, **self._changes), {})

    def knows(self, cell: Cell) -> bool:
        return self.has(cell)

    def end(self, cell: Cell, outcome: Outcome) -> None:
        pass


class Rows:
    """A log in memory, beside a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Plain] = []

    def append(self, event: str, fields: Plain) -> None:
        self.rows.append({"event": event, "time": 0.0, **fields})
