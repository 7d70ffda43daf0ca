"""What a phase of a sweep needs of a board, and what boards that only hand out a list share. Starts no ray."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from regtune.core.records import Cell, Epoch, Outcome, Trial

Decision = Literal["go", "stop"]


class Asked(NamedTuple):
    """A trial to run, its place in the sweep, and the values of the searched knobs by path."""

    cell: Cell
    trial: Trial
    params: Mapping[str, Any]


class Board(Protocol):
    """What a phase of a sweep needs to know of a board; `why` is the reason where `tell` says "stop".

    `planned` may grow when a trial ends, and has every cell that was handed out.
    """

    why: str

    @property
    def planned(self) -> Sequence[Cell]:
        """The cells of this phase so far."""

    def ask(self) -> Asked | None:
        """Return the next trial, or None when every planned one was handed out."""

    def knows(self, cell: Cell) -> bool:
        """Return whether a cell is planned, or could be later."""

    def expects(self, asked: Asked) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs in its cell."""

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out."""

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it goes on."""

    def spared(self, cell: Cell) -> int | None:
        """Return the epoch after which a trial of the control share would have been stopped, if any."""

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of how a trial ended."""


class Listed(abc.ABC):
    """A board that hands out its `planned` cells in their order and stops nobody."""

    why = "nothing ends it"

    def __init__(self) -> None:
        self._planned: list[Cell] = []
        self._known: set[Cell] = set()
        self._asked: set[Cell] = set()
        self._turn = 0  # every planned cell before it was handed out

    @property
    def planned(self) -> Sequence[Cell]:
        """The cells of this phase so far."""
        return self._planned

    @abc.abstractmethod
    def at(self, cell: Cell) -> Asked:
        """Return the trial that belongs in a cell."""

    def ask(self) -> Asked | None:
        """Return the next trial in turn."""
        while self._turn < len(self._planned):
            cell = self._planned[self._turn]
            self._turn += 1
            if cell not in self._asked:
                self._asked.add(cell)
                return self.at(cell)
        return None

    def expects(self, asked: Asked) -> bool:
        """Return whether a trial is the one that belongs in its cell now."""
        return asked.trial.id == self.at(asked.cell).trial.id

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked.add(asked.cell)

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Let every trial go on."""
        return "go"

    def spared(self, cell: Cell) -> int | None:
        """Stop nobody, so spare nobody."""
        return None

    def plan(self, cells: Iterable[Cell]) -> None:
        """Plan these cells too, behind those that are planned already."""
        for cell in cells:
            if cell not in self._known:
                self._known.add(cell)
                self._planned.append(cell)

    def has(self, cell: Cell) -> bool:
        """Return whether a cell is planned already."""
        return cell in self._known
