"""A limit on what a sweep may take: search ends there, and confirm takes what it has found."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from regtune.core.records import Epoch, Json
from regtune.core.reused import is_reused
from regtune.storage.lease import SECONDS


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Hours of a driver at work, and GPU-hours of trials; None for no limit."""

    hours: float | None = None
    gpu_hours: float | None = None


class Spent:
    """What a sweep has taken so far, by its log, and what it takes from now on."""

    def __init__(self, limit: Limit, rows: Sequence[Json], gpus_per_trial: float) -> None:
        self._limit, self._gpus = limit, gpus_per_trial
        self._seconds_before, self._since = seconds_at_work(rows), time.monotonic()
        self._trial_seconds = trained_seconds(rows)

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


def trained_seconds(rows: Sequence[Json]) -> float:
    """Return how long trials were trained; a cell that has the numbers of another trial took none, see `reused`."""
    taken, seconds = set[tuple[object, ...]](), 0.0
    for row in rows:
        if row["event"] == "started":
            (taken.add if is_reused(row) else taken.discard)(tuple(row["cell"]))
        elif row["event"] == "epoch" and tuple(row["cell"]) not in taken:
            seconds += row["epoch"]["seconds"]
    return seconds


def seconds_at_work(rows: Sequence[Json]) -> float:
    """Return how long drivers were at work: a living one leaves no gap as long as its lease between two rows."""
    times: list[float] = [row["time"] for row in rows]
    return sum(gap for a, b in itertools.pairwise(times) if 0 < (gap := b - a) < SECONDS)
