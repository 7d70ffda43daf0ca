"""TensorBoard: event files in `tensorboard/` of the results folder, one folder per trial."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.trackers._base import INTERRUPTED, Run, Tracker, library

FOLDER = "tensorboard"
ENDED = "ended"  # a file beside the events of a run


class Tensorboard(Tracker):
    """Event files, written by tensorboardX: `tensorboard --logdir results/NAME/tensorboard`."""

    def __init__(self, sweep: str, folder: Path) -> None:
        self._writer = library("tensorboardX", "tensorboard").SummaryWriter
        self._sweep, self._folder = sweep, folder / FOLDER
        self._open: dict[str, Any] = {}

    def ended(self) -> Set[str]:
        """Return the uids of the runs that are there from beginning to end."""
        return {path.parent.name.rpartition("-")[2] for path in self._folder.glob(f"*/*/*-*/{ENDED}")}

    def begin(self, run: Run) -> None:
        """Begin a run; what is there of it is replaced."""
        folder = self._of(run)
        shutil.rmtree(folder, ignore_errors=True)
        writer = self._open[run.uid] = self._writer(logdir=str(folder))
        knobs = "\n".join(f"| {path} | {value} |" for path, value in run.knobs.items())
        writer.add_text("knobs", f"| knob | value |\n|---|---|\n{knobs}")
        writer.flush()

    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        """Write what was measured after an epoch of a run."""
        for name, value in values.items():
            self._open[run.uid].add_scalar(name, value, number)
        self._open[run.uid].flush()

    def end(self, run: Run, status: str, values: Mapping[str, float]) -> None:
        """End a run."""
        writer = self._open.pop(run.uid)
        writer.add_text("status", status)
        for name, value in values.items():
            writer.add_scalar(f"outcome/{name}", value)
        writer.close()
        if status != INTERRUPTED:
            (self._of(run) / ENDED).touch()

    def _of(self, run: Run) -> Path:
        arm, phase, number = run.key
        return self._folder / arm / phase / f"{number}-{run.uid}"

    def table(self, text: str, frame: pd.DataFrame) -> None:
        """Write the tables as text."""
        writer = self._writer(logdir=str(self._folder))
        writer.add_text(self._sweep, text)
        writer.close()
