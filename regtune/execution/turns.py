"""Whose turn it is in a phase: a trial is in one pair of hands at a time, also where several cells hold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regtune.core.records import Trial, TrialKey
from regtune.execution.recovery import TrialProgress
from regtune.storage.checkpoints import Saved


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial handed out: where it goes on from, None for its beginning, the faults it met so far, and their nodes."""

    cell: TrialKey
    trial: Trial
    resume: Saved | None
    avoid: tuple[str, ...]
    faults: int = 0


class Turns:
    """The cells that were asked for and are in nobody's hands, the longest waiting first, and those in somebody's."""

    def __init__(self, waiting: Iterable[TrialKey]) -> None:
        self.waiting = dict.fromkeys(waiting)
        self._held: dict[str, TrialKey] = {}  # by the id of the trial

    def next(self, recovery: Mapping[TrialKey, TrialProgress]) -> TrialKey | None:
        """Return the first that may go; one whose trial another cell has in hands waits for what becomes of it.

        Of cells that hold one trial the one that has come furthest goes: it has a checkpoint.
        """
        first = next((cell for cell in self.waiting if recovery[cell].asked.trial.id not in self._held), None)
        if first is None:
            return None
        same = [cell for cell in self.waiting if recovery[cell].asked.trial.id == recovery[first].asked.trial.id]
        return max(same, key=lambda cell: len(recovery[cell].epochs))

    def wait(self, cell: TrialKey, progress: TrialProgress) -> None:
        """Let a cell wait, as one that nobody runs any more."""
        self.over(cell, progress)
        self.waiting[cell] = None

    def take(self, cell: TrialKey) -> None:
        """Count a cell as waiting no more."""
        self.waiting.pop(cell, None)

    def hold(self, cell: TrialKey, progress: TrialProgress) -> None:
        """Give the trial of a cell into somebody's hands."""
        self.take(cell)
        self._held[progress.asked.trial.id] = cell

    def over(self, cell: TrialKey, progress: TrialProgress) -> None:
        """Count a cell as neither waiting nor in somebody's hands."""
        self.take(cell)
        if self._held.get(progress.asked.trial.id) == cell:
            del self._held[progress.asked.trial.id]
