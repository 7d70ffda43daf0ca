"""Whose turn it is in a phase: a trial is in one pair of hands at a time, also where several keys hold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regtune.core.records import Trial, TrialKey
from regtune.execution.recovery import TrialProgress
from regtune.storage.checkpoints import Saved


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial handed out: where it goes on from, None for its beginning, and the nodes where it met faults."""

    key: TrialKey
    trial: Trial
    resume: Saved | None
    avoid: tuple[str, ...]


class Turns:
    """The keys that were asked for and are in nobody's hands, the longest waiting first, and those in somebody's."""

    def __init__(self, waiting: Iterable[TrialKey]) -> None:
        self.waiting = dict.fromkeys(waiting)
        self._held: dict[str, TrialKey] = {}  # by the id of the trial

    def next(self, recovery: Mapping[TrialKey, TrialProgress]) -> TrialKey | None:
        """Return the first that may go; one whose trial another key has in hands waits for what becomes of it.

        Of trial keys that hold one trial the one that has come furthest goes: it has a checkpoint.
        """
        first = next((key for key in self.waiting if recovery[key].asked.trial.id not in self._held), None)
        if first is None:
            return None
        same = [key for key in self.waiting if recovery[key].asked.trial.id == recovery[first].asked.trial.id]
        return max(same, key=lambda key: len(recovery[key].epochs))

    def wait(self, key: TrialKey, progress: TrialProgress) -> None:
        """Let a trial key wait, as one that nobody runs any more."""
        self.over(key, progress)
        self.waiting[key] = None

    def take(self, key: TrialKey) -> None:
        """Count a trial key as waiting no more."""
        self.waiting.pop(key, None)

    def hold(self, key: TrialKey, progress: TrialProgress) -> None:
        """Give the trial of a trial key into somebody's hands."""
        self.take(key)
        self._held[progress.asked.trial.id] = key

    def over(self, key: TrialKey, progress: TrialProgress) -> None:
        """Count a trial key as neither waiting nor in somebody's hands."""
        self.take(key)
        if self._held.get(progress.asked.trial.id) == key:
            del self._held[progress.asked.trial.id]
