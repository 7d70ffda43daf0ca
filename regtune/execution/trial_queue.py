"""Which trial of a phase runs next: one trial is run by one worker at a time, also where several keys ask for it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
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
    """The keys that wait to be run, the longest waiting first, and those that are running.

    No step goes through all that wait: after a kill these may be all trials of a cluster.
    """

    def __init__(self, open_: Mapping[TrialKey, TrialProgress]) -> None:
        self.waiting: dict[TrialKey, int] = {}  # each with its number in the line
        self._ids: dict[TrialKey, str] = {}  # the id of the trial of each that waits
        self._same: dict[str, dict[TrialKey, None]] = {}  # those that wait, by the id of their trial
        self._line: list[tuple[int, TrialKey]] = []  # a heap: the longest waiting, and some that wait no more
        self._later: dict[str, list[tuple[int, TrialKey]]] = {}  # not in line while their trial is running, by its id
        self._running: dict[str, TrialKey] = {}  # by the id of the trial
        self._numbers = itertools.count()
        for key, progress in open_.items():
            self._add(key, progress)

    def next(self, recovery: Mapping[TrialKey, TrialProgress]) -> TrialKey | None:
        """Return the first that may run; one whose trial is running under another key waits for how that ends.

        Of keys that ask for one trial the one with the most epochs runs: it has a checkpoint.
        """
        while self._line:
            number, key = self._line[0]
            if self.waiting.get(key) != number:
                heapq.heappop(self._line)
            elif (trial := self._ids[key]) in self._running:
                self._later.setdefault(trial, []).append(heapq.heappop(self._line))
            else:
                return max(self._same[trial], key=lambda key: recovery[key].epochs)
        return None

    def wait(self, key: TrialKey, progress: TrialProgress) -> None:
        """Let a key wait: nobody runs it any more."""
        self.over(key, progress)
        self._add(key, progress)

    def is_running(self, trial: str) -> bool:
        """Return whether a trial is running, by its id."""
        return trial in self._running

    def hold(self, key: TrialKey, progress: TrialProgress) -> None:
        """Count a key as running."""
        self._take(key)
        self._running[progress.asked.trial.id] = key

    def over(self, key: TrialKey, progress: TrialProgress) -> None:
        """Count a key as neither waiting nor running."""
        self._take(key)
        trial = progress.asked.trial.id
        if self._running.get(trial) == key:
            del self._running[trial]
            for each in self._later.pop(trial, ()):
                heapq.heappush(self._line, each)

    def _add(self, key: TrialKey, progress: TrialProgress) -> None:
        self.waiting[key] = number = next(self._numbers)
        self._ids[key] = trial = progress.asked.trial.id
        self._same.setdefault(trial, {})[key] = None
        heapq.heappush(self._line, (number, key))

    def _take(self, key: TrialKey) -> None:
        """Count a key as waiting no more."""
        if self.waiting.pop(key, None) is not None:
            trial = self._ids.pop(key)
            del self._same[trial][key]
            if not self._same[trial]:
                del self._same[trial]
