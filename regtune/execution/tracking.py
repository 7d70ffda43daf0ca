"""Trackers beside a sweep (`--log-to`): they only watch, and one that fails is left alone while the sweep goes on.

What is replayed from the log of an interrupted sweep goes to runs that a tracker does not have to their end.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from regtune.analysis.comparison import comparison
from regtune.core.copies import is_copy
from regtune.core.errors import Refused
from regtune.core.records import Json, TrialKey
from regtune.execution.recovery import key_of
from regtune.execution.watch import Watch, Watching, many_of
from regtune.reports.output import formatted
from regtune.results.loader import load
from regtune.storage.bundles import EPOCH, Bundle
from regtune.sweep.sweep import Sweep
from regtune.trackers import INTERRUPTED, TRACKERS, Run, Tracker

MEASURED = ("_accuracy", "_loss", "_macro_f1", "_auroc")  # how the names of what is measured end
GOES_ON = "the sweep goes on without it, and the next run adds what is missing"
ALSO = ("objective", "learning_rate", "seconds")


@contextlib.contextmanager
def tracked(sweep: Sweep, results: Path, names: Sequence[str], other: Watch) -> Iterator[Watch]:
    """Yield a watch that hands every event to another one and to these trackers; a table follows at the end.

    Raises Refused, before anything runs, for an unknown tracker or one whose library is not installed.
    """
    folder = sweep.folder(results)
    plugins = sweep.arms[0].template.plugins
    kinds = {name: TRACKERS.find(name, "--log-to", plugins) for name in names}
    every = [_Tracked(name, kind, folder, results) for name, kind in kinds.items()]
    try:
        yield _beside(every, other) if every else other
        if any(each.has_new for each in every):
            text, frame = formatted([folder], "md"), comparison(load(folder))
            for each in every:
                each.table(text, frame)
    finally:
        for each in every:
            each.close()


def _beside(every: Sequence[_Tracked], other: Watch) -> Watching:
    others = many_of(other)

    def watch(event: str, row: Json) -> None:
        other(event, row)
        for each in every:
            each.watch(event, row)

    def many(bundle: Bundle) -> None:
        others(bundle)
        for row in bundle.rows():
            for each in every:
                each.watch(EPOCH, row)

    return Watching(one=watch, many=many)


class _Tracked:
    """A tracker until it fails. `has_new` says whether anything was written."""

    def __init__(self, name: str, kind: type[Tracker], folder: Path, results: Path) -> None:
        self._name, self.has_new = name, False
        self._tracker: Tracker | None = None
        self._asked: dict[TrialKey, Run] = {}
        self._begun: dict[TrialKey, Run] = {}
        self._before: frozenset[str] = frozenset()
        self._open(kind, folder, results)

    def _open(self, kind: type[Tracker], folder: Path, results: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with self._forgiven():
            tracker = kind(folder.relative_to(results).as_posix(), folder)
            self._before = frozenset(tracker.ended())
            self._tracker = tracker

    @contextlib.contextmanager
    def _forgiven(self, then: str = GOES_ON) -> Iterator[None]:
        try:
            yield
        except Refused:
            raise
        except Exception as error:  # depends on the library, and the sweep goes on whatever it is
            self._tracker = None
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            warnings.warn(
                f"--log-to {self._name}: {said}; {then}",
                stacklevel=2,
            )

    def watch(self, event: str, row: Json) -> None:
        """Take one event: a replayed one has a time, and is of no use to a run that is there."""
        key = key_of(row)
        if key is None or is_copy(key.arm):
            return
        if event == "asked":
            self._asked[key] = Run(key=key, id=row["id"], knobs=row["params"])
            self._begun.pop(key, None)
        elif event in ("epoch", "ended") and key in self._asked:
            run = self._asked[key]
            if "time" in row and run.uid in self._before:
                return
            with self._forgiven():
                if self._tracker is not None:
                    self._write(self._tracker, run, event, row)

    def _write(self, tracker: Tracker, run: Run, event: str, row: Json) -> None:
        self.has_new = True
        if run.key not in self._begun:
            tracker.begin(run)
            self._begun[run.key] = run
        if event == "epoch":
            found = row["epoch"]
            prefix = "retrain/" if found["stage"] == "retrain" else ""
            values = {f"{prefix}{name}": value for name, value in _numbers(found).items()}
            tracker.epoch(run, found["number"], values)
        else:
            outcome = row["outcome"]
            tracker.end(self._begun.pop(run.key), outcome["status"], _numbers(outcome["metrics"]))

    def table(self, text: str, frame: pd.DataFrame) -> None:
        """Write the tables of the sweep."""
        with self._forgiven("it has no table; regtune table prints it"):
            if self._tracker is not None:
                self._tracker.table(text, frame)

    def close(self) -> None:
        """End the runs of trials that were interrupted."""
        for run in self._begun.values():
            with self._forgiven():
                if self._tracker is not None:
                    self._tracker.end(run, INTERRUPTED, {})


def _numbers(row: Json) -> dict[str, float]:
    """Return what was measured; None is no number."""
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and (name.endswith(MEASURED) or name in ALSO)
    }
