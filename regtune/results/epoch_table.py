"""The epochs of a log as a frame, built by columns: a million rows of Python would fill the memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from regtune.core.records import Json, TrialKey

CHUNK = 1_000  # rows that are Python's at a time
# The others are floats, NaN for None.
KINDS: dict[str, Any] = {"epoch": int, "kept": int, "stage": object, "pretrained": object}


class EpochTable:
    """Takes epochs in the order of the log; each belongs to a run, one trial that was asked for under a key."""

    def __init__(self) -> None:
        self._keys: list[TrialKey] = []
        self._taken = set[int]()  # the runs whose numbers are those of another log
        self._runs = array("q")  # of each row
        self._names: tuple[str, ...] = ()  # of the fields of the rows not packed yet
        self._rows: list[tuple[Any, ...]] = []
        self._columns: dict[str, list[Any]] = {}  # instead of rows, where they came so
        self._packed: list[dict[str, np.ndarray]] = []

    @property
    def runs(self) -> int:
        """How many runs were begun."""
        return len(self._keys)

    def arm(self, run: int) -> str:
        """Return the arm of a run."""
        return self._keys[run].arm

    def begin(self, key: TrialKey) -> int:
        """Return the number of a new run."""
        self._keys.append(key)
        return len(self._keys) - 1

    def take_over(self, run: int, *, taken: bool) -> None:
        """Take note of whether the numbers of a run are those of another log."""
        (self._taken.add if taken else self._taken.discard)(run)

    def add(self, run: int, epoch: Json) -> None:
        """Take the plain form of a `records.Epoch`."""
        names = tuple(epoch)
        # Logs of several versions may have different fields.
        if names != self._names or self._columns or len(self._rows) == CHUNK:
            self._pack()
            self._names = names
        self._runs.append(run)
        self._rows.append(tuple(epoch.values()))

    def add_many(self, runs: Sequence[int], columns: dict[str, list[Any]]) -> None:
        """Take the plain forms of epochs by columns."""
        names = tuple(columns)
        if names != self._names or not self._columns or len(self._columns[names[0]]) >= CHUNK:
            self._pack()
            self._names, self._columns = names, {name: [] for name in names}
        self._runs.extend(runs)
        for name, values in columns.items():
            self._columns[name] += values

    def frame(self, runs: Sequence[int]) -> pd.DataFrame:
        """Return the epochs of these runs, one run after the other: the trial key, then the fields of the epoch.

        The epoch's own number is called `epoch`. Where trials were reused from other logs, `reused` says so.
        """
        self._pack()
        if not self._packed or not runs:
            return pd.DataFrame()
        place = np.full(len(self._keys), -1)
        place[list(runs)] = np.arange(len(runs))
        places = place[np.asarray(self._runs)]
        order = np.argsort(places, kind="stable")[(places < 0).sum() :]
        owners = np.asarray(self._runs)[order]
        keys = pd.DataFrame(self._keys, columns=list(TrialKey._fields)).take(owners)
        names = dict.fromkeys(name for columns in self._packed for name in columns)
        fields = pd.DataFrame({name: self._column(name)[order] for name in names})
        if self._taken:
            fields["reused"] = np.isin(owners, list(self._taken))
        return pd.concat([keys.reset_index(drop=True), fields], axis=1)

    def _pack(self) -> None:
        """Turn the rows so far into columns."""
        if self._rows or self._columns:
            columns: dict[str, Sequence[Any]] = {**self._columns}
            if self._rows:
                columns = dict(zip(self._names, zip(*self._rows, strict=True), strict=True))
            columns = {"epoch": columns.pop("number"), **columns}
            columns.pop("outcome", None)
            self._packed.append({name: np.array(values, KINDS.get(name, float)) for name, values in columns.items()})
            self._rows.clear()
            self._columns = {}

    def _column(self, name: str) -> np.ndarray:
        """Return one field of all rows, empty where a row has none."""
        filler = None if KINDS.get(name) is object else np.nan
        parts = [part.get(name, np.full(len(part["epoch"]), filler)) for part in self._packed]
        return np.concatenate(parts)
