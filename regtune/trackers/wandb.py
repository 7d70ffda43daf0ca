"""Weights & Biases: a group per sweep, where the library's own settings say (WANDB_PROJECT, WANDB_MODE, WANDB_DIR)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.core.writing import write
from regtune.trackers._base import INTERRUPTED, Run, Tracker, library

PROJECT = "regtune"  # where WANDB_PROJECT says none


class Wandb(Tracker):
    """Runs of a project; the group of a run is its sweep, its job type the phase. Knobs are its configuration."""

    def __init__(self, sweep: str, folder: Path) -> None:
        self._wandb = library("wandb", "wandb")
        self._sweep, self._ended = sweep, folder / "wandb.ended"
        self._open: dict[str, Any] = {}

    def ended(self) -> set[str]:
        """Return the uids of the runs that are there from beginning to end: offline the library cannot be asked."""
        return set(self._ended.read_text(encoding="ascii").split()) if self._ended.exists() else set()

    def begin(self, run: Run) -> None:
        """Begin a run; steps that are there already stay as they are."""
        if run.uid in (ended := self.ended()):  # it failed, and is tried again
            write(self._ended, "".join(f"{uid}\n" for uid in sorted(ended - {run.uid})))
        arm, phase, _ = run.key
        config = {"arm": arm, "trial": run.id, **run.knobs}
        self._open[run.uid] = self._init(run.uid, name=str(run.key), job_type=phase, config=config)

    def _init(self, uid: str | None, *, name: str, job_type: str, config: dict[str, Any]) -> Any:
        return self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self._sweep,
            id=uid,
            name=name,
            job_type=job_type,
            config=config,
            resume=None if uid is None else "allow",
            reinit="create_new",  # trials run side by side
            settings=self._wandb.Settings(silent=True, console="off"),
        )

    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        """Write what was measured after an epoch of a run."""
        self._open[run.uid].log(dict(values), step=number)

    def end(self, run: Run, status: str, values: Mapping[str, float]) -> None:
        """End a run."""
        mine = self._open.pop(run.uid)
        mine.summary.update({"status": status, **{f"outcome.{name}": value for name, value in values.items()}})
        mine.finish(exit_code=0 if status in ("ok", "pruned") else 1)
        if status != INTERRUPTED:
            with self._ended.open("a", encoding="ascii") as file:
                file.write(f"{run.uid}\n")

    def table(self, text: str, frame: pd.DataFrame) -> None:
        """Write the first table as one of a run of its own."""
        mine = self._init(None, name="table", job_type="table", config={})
        mine.log({"table": self._wandb.Table(dataframe=frame)})
        mine.finish()
