"""A limit on what a sweep may take: search ends there, and confirm takes what it has found."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from regtune.core.records import Epoch, Json
from regtune.core.reused import is_reused
from regtune.storage.bundles import BUNDLE, EPOCH, Bundle
from regtune.storage.lease import SECONDS


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Hours of a driver at work, and GPU-hours of trials; None for no limit."""

    hours: float | None = None
    gpu_hours: float | None = None


class Work:
    """How long drivers and trials were at work, by the rows of a log.

    A living driver leaves no gap as long as its lease between two rows. A cell that has the numbers of another trial
    took none, see `reused`.
    """

    def __init__(self, rows: Iterable[Json] = ()) -> None:
        self.drivers, self.trials = 0.0, 0.0  # seconds
        self._taken, self._before = set[tuple[object, ...]](), math.inf
        for row in rows:
            self.take(row)

    def take(self, row: Json) -> None:
        """Take the next row."""
        gap = row["time"] - self._before
        self.drivers += gap if 0 < gap < SECONDS else 0.0
        self._before = row["time"]
        if row["event"] == "started":
            (self._taken.add if is_reused(row) else self._taken.discard)(tuple(row["cell"]))
        elif row["event"] == EPOCH and tuple(row["cell"]) not in self._taken:
            self.trials += row["epoch"]["seconds"]
        elif row["event"] == BUNDLE:
            bundle = Bundle(row)
            seconds = bundle.column("seconds")
            both = zip(bundle.cells, seconds, strict=True)
            self.trials += sum(each for cell, each in both if cell not in self._taken) if self._taken else sum(seconds)


class Spent:
    """What a sweep has taken so far, by the work in its log, and what it takes from now on."""

    def __init__(self, limit: Limit, before: Work, gpus_per_trial: float) -> None:
        self._limit, self._gpus = limit, gpus_per_trial
        self._seconds_before, self._since = before.drivers, time.monotonic()
        self._trial_seconds = before.trials

    def add(self, epoch: Epoch) -> None:
        """Take note of an epoch that was trained."""
        self._trial_seconds += epoch.seconds

    def over(self) -> str:
        """Return which limit is reached, in words; empty where none is."""
        hours = (self._seconds_before + time.monotonic() - self._since) / 3600
        gpu_hours = self._trial_seconds * self._gpus / 3600
        for name, spent, most in (("hours", hours, self._limit.hours), ("GPU-hours", gpu_hours, self._limit.gpu_hours)):
            if most is not None and spent >= most:
                return f"the limit of {most:g} {name} is reached"
        return ""
