"""Which trial of a phase runs next: one trial is run by one worker at a time, also where several keys ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regtune.core.records import Trial, TrialKey
from regtune.execution.recovery import TrialProgress
from regtune.storage.checkpoints import Saved


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial handed out: where it resumes from, None for its beginning, and the nodes where it met faults."""

    key: TrialKey
    trial: Trial
    resume: Saved | None
    avoid: tuple[str, ...]
    faults: int = 0


class TrialQueue:
    """The keys that wait to be run, the longest waiting first, and those that are running."""

    def __init__(self, waiting: Iterable[TrialKey]) -> None:
        self.waiting = dict.fromkeys(waiting)
        self._running: dict[str, TrialKey] = {}  # by the id of the trial

    def next(self, recovery: Mapping[TrialKey, TrialProgress]) -> TrialKey | None:
        """Return the first that may run; one whose trial is running under another key waits for how that ends.

        Of keys that ask for one trial the one with the most epochs runs: it has a checkpoint.
        """
        first = next((key for key in self.waiting if recovery[key].asked.trial.id not in self._running), None)
        if first is None:
            return None
        same = [key for key in self.waiting if recovery[key].asked.trial.id == recovery[first].asked.trial.id]
        return max(same, key=lambda key: recovery[key].epochs)

    def wait(self, key: TrialKey, progress: TrialProgress) -> None:
        """Let a key wait: nobody runs it any more."""
        self.over(key, progress)
        self.waiting[key] = None

    def is_running(self, trial: str) -> bool:
        """Return whether a trial is running, by its id."""
        return trial in self._running

    def take(self, key: TrialKey) -> None:
        """Count a key as waiting no more."""
        self.waiting.pop(key, None)

    def hold(self, key: TrialKey, progress: TrialProgress) -> None:
        """Count a key as running."""
        self.take(key)
        self._running[progress.asked.trial.id] = key

    def over(self, key: TrialKey, progress: TrialProgress) -> None:
        """Count a key as neither waiting nor running."""
        self.take(key)
        if self._running.get(progress.asked.trial.id) == key:
            del self._running[progress.asked.trial.id]
