"""A sweep of a second that tests stop, change and run again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regtune.core.records import Epoch, Json, TrialKey
from regtune.execution.run import run
from regtune.execution.watch import Watch
from regtune.results.loader import Results, load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.trainer import Training

SMALL = """
[data]
name = "synthetic"
train = 48
validation = 32
test = 37
noise = 0.6
[network]
name = "mlp"
widths = [12]
[optimizer]
learning_rate = { low = 0.001, high = 0.3, log = true }
[training]
epochs = 4
batch = 16
[arms]
baseline = {}
dropout = { dropout = {} }
[search]
trials = 2
sampler = "random"
pruner = "none"
[select]
seeds = 0
[confirm]
seeds = 2
weights = false
[cluster]
checkpoint_seconds = 0
"""


class Stopped(Exception):
    """What ends a run in the middle, as the death of its driver would."""


def read(folder: Path, text: str) -> Sweep:
    """Write a sweep file that is named "small" and read it."""
    (folder / "small.toml").write_text(text)
    return Sweep.read(folder / "small.toml")


def ran(folder: Path, text: str = SMALL, **options: Any) -> Path:
    """Run what is left of a sweep in a folder, in this process, and return its log."""
    return run(read(folder, text), folder, in_process=True, **options)


def stop_at(key: TrialKey, number: int) -> Watch:
    """Return a watch that ends the run when an epoch of a trial is written, before its checkpoint is."""

    def watch(event: str, row: Json) -> None:
        if event == "epoch" and row["cell"] == list(key) and row["epoch"]["number"] == number:
            raise Stopped

    return watch


def stopped(folder: Path, key: TrialKey, number: int, text: str = SMALL) -> Path:
    """Run a sweep up to an epoch of a trial and return its log."""
    with pytest.raises(Stopped):
        ran(folder, text, watch=stop_at(key, number))
    return folder / "small" / "log.jsonl"


@contextmanager
def trained_epochs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Note down (id of the trial, number) of every epoch that is really trained."""
    trained, original = [], Training.__next__

    def spy(self: Training) -> Epoch:
        epoch = original(self)
        trained.append((self.trial.id, epoch.number))
        return epoch

    with monkeypatch.context() as patched:
        patched.setattr(Training, "__next__", spy)
        yield trained


def rows_of(log: Path, event: str) -> list[Json]:
    return [row for row in read_log(log)[0] if row["event"] == event]


def by_key(results: Results) -> dict[TrialKey, dict[str, Any]]:
    """Return the rows of trials by their cells."""
    rows = results.trials.to_dict("records")
    return {TrialKey(row["arm"], row["phase"], row["number"]): {str(k): v for k, v in row.items()} for row in rows}


def table_of_trials(log: Path) -> pd.DataFrame:
    """Return all that a log says of trials but how long they took and how often they met faults."""
    return load(log).trials.drop(columns=["seconds", "faults"])


def table_of_epochs(log: Path) -> pd.DataFrame:
    """Return all that a log says of epochs but how long they took, in the order of their cells."""
    epochs = load(log).epochs.drop(columns=["seconds", "data_share"])
    return epochs.sort_values(["phase", "arm", "number", "epoch"], ignore_index=True)


def assert_same_results(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(table_of_trials(one), table_of_trials(other))
    pd.testing.assert_frame_equal(table_of_epochs(one), table_of_epochs(other))
