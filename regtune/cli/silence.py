"""Who says nothing: trials under way without an epoch for long, and whether all of them wait for a processor."""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from regtune.core.records import Json, TrialKey
from regtune.storage.bundles import Bundle
from regtune.storage.environment import LANE

LONG = 30.0  # seconds without any report after which the load of the machine is told
TIMES = 10.0  # an arm's usual epoch
LEAST = 300.0  # seconds: what is shorter is no silence
REMEMBERED = 99  # newest epochs of an arm, of which the usual one is the median
MOST_NAMED = 3


@dataclass(kw_only=True)
class _Underway:
    """A trial under way: when it last gave a sign, whether it has reported from a worker, the width of its lane."""

    sign: float
    started: bool = False
    width: int = 1


@dataclass(kw_only=True)
class Silence:
    """Takes the events of a sweep, and says who has been silent for long; replayed events (they have a time) are past.

    `clock` is in seconds, `load` returns the mean number of processes that want a processor, None where that is not
    known.
    """

    clock: Callable[[], float] = time.monotonic
    load: Callable[[], float | None] = lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    _seconds: dict[str, deque[float]] = field(default_factory=dict, init=False)
    _underway: dict[TrialKey, _Underway] = field(default_factory=dict, init=False)
    _newest: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to wait."""
        self._newest = self.clock()

    def watch(self, key: TrialKey, event: str, row: Json) -> None:
        """Take one event, replayed or new."""
        if event == "epoch":
            mine = self._seconds.setdefault(key.arm, deque(maxlen=REMEMBERED))
            trial = self._underway.get(key)
            # Of a lane each of its trials has a share of the time.
            mine.append(row["epoch"]["seconds"] * (trial.width if trial else 1))
        if event == "ended":
            self._underway.pop(key, None)
        width = int(row["where"].get(LANE, 1)) if event == "started" else 1
        if "time" in row:
            return
        self._newest = self.clock()
        if event in ("asked", "fault"):
            self._underway.pop(key, None)  # handed out again, it waits behind the others
            self._underway[key] = _Underway(sign=self._newest)
        elif event in ("started", "epoch"):
            before = self._underway.get(key)
            width = before.width if before and event == "epoch" else width
            self._underway[key] = _Underway(sign=self._newest, started=True, width=width)

    def replayed(self, bundle: Bundle) -> None:
        """Take many replayed epochs at once."""
        seconds = bundle.column("seconds")
        for arm in {cell[0] for cell in bundle.cells}:
            mine = [each for cell, each in zip(bundle.cells, seconds, strict=True) if cell[0] == arm]
            self._seconds.setdefault(arm, deque(maxlen=REMEMBERED)).extend(mine)

    def words(self) -> list[str]:
        """Return in a line each who has been silent for long; nothing where nobody was."""
        now = self.clock()
        found = [f"{key}: no epoch for {minutes(now - trial.sign)}" for key, trial in self._silent(now)]
        more = [f"{len(found) - MOST_NAMED} more trials without an epoch"] if len(found) > MOST_NAMED else []
        return [*self._all_silent(now), *found[:MOST_NAMED], *more]

    def _all_silent(self, now: float) -> list[str]:
        if now - self._newest < max(LONG, 2 * self._usual_of_all()):
            return []
        text = f"no trial has reported for {minutes(now - self._newest)}"
        load, cpus = self.load(), os.cpu_count() or 1
        if load is None:
            return [text]
        waits = "workers wait for a processor: " if load > cpus else ""
        return [f"{text}; {waits}the load of this machine is {load:.1f} on {cpus} CPUs"]

    def _silent(self, now: float) -> list[tuple[TrialKey, _Underway]]:
        """Return the trials that a worker has, as far as one can see, and that gave no sign for long.

        Workers take trials in the order in which they were handed out: one that has not reported is taken to wait for
        its worker until a later one has.
        """
        started = [trial.started for trial in self._underway.values()]
        last = max((place for place, has in enumerate(started) if has), default=-1)
        return [
            (key, trial)
            for place, (key, trial) in enumerate(self._underway.items())
            if place <= last and now - trial.sign >= max(LEAST, TIMES * self._usual(key.arm))
        ]

    def _usual(self, arm: str) -> float:
        """Return the usual seconds of an epoch of an arm; of one that has none yet, those of the slowest arm."""
        return statistics.median(self._seconds[arm]) if arm in self._seconds else self._usual_of_all()

    def _usual_of_all(self) -> float:
        return max((statistics.median(mine) for mine in self._seconds.values()), default=0.0)


def minutes(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
