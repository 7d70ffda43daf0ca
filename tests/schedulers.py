"""Schedulers and logs of a few made-up trials, for phases by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from regtune.core.records import Json, Outcome, PhaseName, TrialKey
from regtune.execution.trained import RecordedTrials
from regtune.search.scheduler import PlannedScheduler, Suggestion
from regtune.storage.bundles import Event
from tests.conftest import small_trial


class Twins(PlannedScheduler):
    """Two arms, a and b, that hold the same trials of a phase, `count` of them; `changes` are of these trials."""

    def __init__(self, phase: PhaseName = "search", count: int = 2, **changes: Any) -> None:
        super().__init__()
        self._changes = changes
        self.plan(TrialKey(arm, phase, n) for n in range(count) for arm in ("a", "b"))

    def at(self, key: TrialKey) -> Suggestion:
        return Suggestion(key, small_trial(seed=key.number, **self._changes), {})

    def has(self, key: TrialKey) -> bool:
        return self.is_planned(key)

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        pass


class Singles(Twins):
    """One arm, `count` trials that have nothing in common but their kind."""

    def __init__(self, phase: PhaseName, count: int) -> None:
        super().__init__(phase=phase, count=0)
        self.plan(TrialKey("a", phase, number) for number in range(count))


class Rows:
    """A log in memory, beside a folder: its rows are known by their numbers, and all are of before and of now."""

    def __init__(self, path: Path, rows: list[Json] | None = None) -> None:
        self.path = path
        self.rows = [] if rows is None else rows

    @property
    def places(self) -> Sequence[int]:
        return range(len(self.rows))

    def replay(self, phase: str | None = None) -> Iterable[tuple[int, Json]]:
        return enumerate([*self.rows])

    def read(self, place: int) -> Json:
        return self.rows[place]

    def append(self, event: str, fields: Json) -> int:
        self.rows.append({"event": event, "time": 0.0, **fields})
        return len(self.rows) - 1

    def append_all(self, events: Sequence[Event]) -> list[int]:
        return [self.append(event, fields) for event, fields in events]


def trials_of(rows: Iterable[Json]) -> RecordedTrials:
    """Return what rows say of trials, each at the place of its number."""
    found = RecordedTrials()
    for place, row in enumerate(rows):
        found.take(place, row)
    return found
