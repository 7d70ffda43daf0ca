"""Epochs of many trials in one row of the log: numbers by columns, a third of the bytes and a fraction of the reading.

    {"event":"epochs","time":...,"cells":[["dropout","search",[0,1,2]]],"epoch":{"number":3,"val_loss":[0.5,0.4,0.6]}}

It stands for an `epoch` row of each cell, in this order: `cells` has arm, phase and numbers of neighbours, and a field
that all of them have alike stands there once. Readers that do not care see the rows that it stands for (`expanded`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from regtune.core.records import Json

EPOCH = "epoch"  # the event of a row of one epoch
BUNDLE = "epochs"  # the event of a row of several
Event = tuple[str, Json]  # of a row that is to be written, with its fields
_ONCE = (type(None), bool, int, float, str)  # what may stand for a whole column: a list would be taken for one


def bundled(events: Iterable[Event]) -> Iterator[tuple[Event, int]]:
    """Yield these events with neighbouring epochs of the same fields in one; with each, for how many it stands."""
    for fields, group in itertools.groupby(events, _fields):
        mine = list(group)
        if fields is None or len(mine) == 1:
            yield from ((event, 1) for event in mine)
        else:
            yield (BUNDLE, _bundle([row for _, row in mine])), len(mine)


def _fields(event: Event) -> tuple[str, ...] | None:
    """Return the fields of an epoch, None for another event."""
    name, row = event
    return tuple(row["epoch"]) if name == EPOCH and row.keys() == {"cell", "epoch"} and row["epoch"] else None


def _bundle(rows: Sequence[Json]) -> Json:
    cells: list[tuple[str, str, list[int]]] = []
    for arm, phase, number in (row["cell"] for row in rows):
        if not cells or cells[-1][:2] != (arm, phase):
            cells.append((arm, phase, []))
        cells[-1][2].append(number)
    columns = zip(*(row["epoch"].values() for row in rows), strict=True)
    epoch = {name: _column(values) for name, values in zip(rows[0]["epoch"], columns, strict=True)}
    return {"cells": cells, "epoch": epoch}


def _column(values: Sequence[Any]) -> Any:
    """Return what stands for these values: one where all are alike, down to the sign of 0."""
    first, second, *_ = values
    if first != second or type(first) not in _ONCE:
        return list(values)
    alike = repr(first)
    return first if all(type(value) is type(first) and repr(value) == alike for value in values) else list(values)


class Bundle:
    """The epochs of a bundle: `cells` says whose they are, in their order."""

    def __init__(self, row: Json) -> None:
        self.time: float = row["time"]
        # Each is equal to its TrialKey, and made in a fraction of the time.
        self.cells: list[Any] = [(arm, phase, number) for arm, phase, each in row["cells"] for number in each]
        self._epoch: dict[str, Any] = row["epoch"]

    @property
    def names(self) -> list[str]:
        """The fields that each of the epochs has."""
        return list(self._epoch)

    def column(self, name: str) -> list[Any]:
        """Return a field of all of them; None where they lack it."""
        values = self._epoch.get(name)
        return values if isinstance(values, list) else [values] * len(self.cells)

    def epoch(self, place: int) -> Json:
        """Return the epoch at a place, with all of its fields."""
        return {name: each[place] if isinstance(each, list) else each for name, each in self._epoch.items()}

    def rows(self) -> Iterator[Json]:
        """Yield the rows that the bundle stands for."""
        columns = [self.column(name) for name in self._epoch]
        for cell, values in zip(self.cells, zip(*columns, strict=True), strict=True):
            epoch = dict(zip(self._epoch, values, strict=True))
            yield {"event": EPOCH, "time": self.time, "cell": list(cell), "epoch": epoch}

    def part(self, places: Sequence[int]) -> Bundle:
        """Return the epochs at these places, in their order."""
        mine = Bundle({"time": self.time, "cells": [], "epoch": {}})
        mine.cells = [self.cells[place] for place in places]
        mine._epoch = {
            name: [each[place] for place in places] if isinstance(each, list) else each
            for name, each in self._epoch.items()
        }
        return mine


def expanded(row: Json) -> Iterator[Json]:
    """Yield the rows that a row stands for: that of each epoch of a bundle, any other itself."""
    if row["event"] == BUNDLE:
        yield from Bundle(row).rows()
    else:
        yield row
