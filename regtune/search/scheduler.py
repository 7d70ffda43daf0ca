"""What a phase asks of a scheduler, and what schedulers that only hand out a list share. Starts no Ray."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from regtune.core.records import Epoch, Outcome, Trial, TrialKey

Decision = Literal["go", "stop"]


class Suggestion(NamedTuple):
    """A trial to run, its place in the sweep, and the values of the searched knobs by path."""

    cell: TrialKey
    trial: Trial
    params: Mapping[str, Any]


class Scheduler(Protocol):
    """What a phase of a sweep needs to know of a scheduler; `why` is the reason where `tell` says "stop".

    `planned` may grow when a trial ends, and has every cell that was handed out.
    """

    why: str

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The cells of this phase so far."""

    def ask(self) -> Suggestion | None:
        """Return the next trial, or None when every planned one was handed out."""

    def has(self, cell: TrialKey) -> bool:
        """Return whether a cell is planned, or could be later."""

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs in its cell."""

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""

    def tell(self, cell: TrialKey, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it goes on."""

    def would_have_stopped_at(self, cell: TrialKey) -> int | None:
        """Return the epoch after which a trial of the control share would have been stopped, if any."""

    def end(self, cell: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""


class PlannedScheduler(abc.ABC):
    """A scheduler that hands out its `planned` cells in their order and stops nobody."""

    why = "nothing ends it"

    def __init__(self) -> None:
        self._planned: list[TrialKey] = []
        self._known: set[TrialKey] = set()
        self._asked: set[TrialKey] = set()
        self._turn = 0  # every planned cell before it was handed out

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The cells of this phase so far."""
        return self._planned

    @abc.abstractmethod
    def at(self, cell: TrialKey) -> Suggestion:
        """Return the trial that belongs in a cell."""

    def ask(self) -> Suggestion | None:
        """Return the next trial in turn."""
        while self._turn < len(self._planned):
            cell = self._planned[self._turn]
            self._turn += 1
            if cell not in self._asked:
                self._asked.add(cell)
                return self.at(cell)
        return None

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial is the one that belongs in its cell now."""
        return asked.trial.id == self.at(asked.cell).trial.id

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked.add(asked.cell)

    def tell(self, cell: TrialKey, epoch: Epoch) -> Decision:
        """Let every trial go on."""
        return "go"

    def would_have_stopped_at(self, cell: TrialKey) -> int | None:
        """Stop nobody, so spare nobody."""
        return None

    def plan(self, cells: Iterable[TrialKey]) -> None:
        """Plan these cells too, behind those that are planned already."""
        for cell in cells:
            if cell not in self._known:
                self._known.add(cell)
                self._planned.append(cell)

    def is_planned(self, cell: TrialKey) -> bool:
        """Return whether a cell is planned already."""
        return cell in self._known
