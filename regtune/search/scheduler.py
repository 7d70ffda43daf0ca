"""What a phase asks of a scheduler, and what schedulers that only hand out a list share. Starts no Ray."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from regtune.core.records import Epoch, Outcome, Trial, TrialKey
from regtune.storage.bundles import Bundle

Decision = Literal["go", "stop"]


class Suggestion(NamedTuple):
    """A trial to run, its place in the sweep, and the values of the searched knobs by path."""

    key: TrialKey
    trial: Trial
    params: Mapping[str, Any]


class Scheduler(Protocol):
    """What a phase of a sweep needs to know of a scheduler; `why` is the reason where `tell` says "stop".

    `planned` may grow when a trial ends, and has every trial key that was handed out.
    """

    why: str

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The trial keys of this phase so far."""

    def ask(self) -> Suggestion | None:
        """Return the next trial, or None when every planned one was handed out."""

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned, or could be later."""

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs under its key."""

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""

    def tell(self, key: TrialKey, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it continues."""

    def tell_all(self, bundle: Bundle) -> Sequence[int]:
        """Take epochs of running trials in their order, as `tell` each; return the places of those that it stops."""

    def would_have_stopped_at(self, key: TrialKey) -> int | None:
        """Return the epoch after which a trial of the control share would have been stopped, if any."""

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""


class PlannedScheduler(abc.ABC):
    """A scheduler that hands out its `planned` trial keys in their order and stops nobody."""

    why = "nothing ends it"

    def __init__(self) -> None:
        self._planned: list[TrialKey] = []
        self._known: set[TrialKey] = set()
        self._asked: set[TrialKey] = set()
        self._turn = 0  # every planned trial key before it was handed out

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The trial keys of this phase so far."""
        return self._planned

    @abc.abstractmethod
    def at(self, key: TrialKey) -> Suggestion:
        """Return the trial that belongs under a key."""

    def ask(self) -> Suggestion | None:
        """Return the next trial in turn."""
        while self._turn < len(self._planned):
            key = self._planned[self._turn]
            self._turn += 1
            if key not in self._asked:
                self._asked.add(key)
                return self.at(key)
        return None

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial is the one that belongs under its key now."""
        return asked.trial.id == self.at(asked.key).trial.id

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked.add(asked.key)

    def tell(self, key: TrialKey, epoch: Epoch) -> Decision:
        """Let every trial continue."""
        return "go"

    def tell_all(self, bundle: Bundle) -> Sequence[int]:
        """Let every trial continue."""
        return ()

    def would_have_stopped_at(self, key: TrialKey) -> int | None:
        """Stop nobody, so spare nobody."""
        return None

    def plan(self, keys: Iterable[TrialKey]) -> None:
        """Plan these trial keys too, behind those that are planned already."""
        for key in keys:
            if key not in self._known:
                self._known.add(key)
                self._planned.append(key)

    def is_planned(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned already."""
        return key in self._known
