"""MLflow: an experiment per sweep, where the library's own settings say (MLFLOW_TRACKING_URI)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import pandas as pd

from regtune.trackers._base import INTERRUPTED, Run, Tracker, library

UID, STATUS = "regtune.uid", "status"  # tags
ENDS = {"ok": "FINISHED", "pruned": "FINISHED", INTERRUPTED: "KILLED"}  # by status; others have failed
MOST = 50_000  # runs that MLflow hands out at once


class Mlflow(Tracker):
    """Runs of an experiment that is called like the sweep. Knobs are parameters, epochs are steps."""

    def __init__(self, sweep: str, folder: Path) -> None:
        self._client = library("mlflow", "mlflow").MlflowClient()
        found = self._client.get_experiment_by_name(sweep)
        self._experiment = found.experiment_id if found else self._client.create_experiment(sweep)
        self._runs: dict[str, str] = {}  # MLflow's ids by uid
        self._ended = set[str]()
        token: str | None = ""
        while token is not None:
            runs = self._client.search_runs([self._experiment], max_results=MOST, page_token=token or None)
            for run in runs:
                if UID in run.data.tags:
                    self._runs[run.data.tags[UID]] = run.info.run_id
                    if run.data.tags.get(STATUS, INTERRUPTED) != INTERRUPTED:
                        self._ended.add(run.data.tags[UID])
            token = runs.token or None

    def ended(self) -> Set[str]:
        """Return the uids of the runs that are there from beginning to end."""
        return self._ended

    def begin(self, run: Run) -> None:
        """Begin a run; what is there of it is replaced."""
        if run.uid in self._runs:
            self._client.delete_run(self._runs[run.uid])
        arm, phase, _ = run.key
        tags = {UID: run.uid, "arm": arm, "phase": phase, "trial": run.id}
        made = self._client.create_run(self._experiment, run_name=str(run.key), tags=tags)
        self._runs[run.uid] = made.info.run_id
        for path, value in run.knobs.items():
            self._client.log_param(made.info.run_id, path, value)

    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        """Write what was measured after an epoch of a run."""
        for name, value in values.items():
            self._client.log_metric(self._runs[run.uid], name, value, step=number)

    def end(self, run: Run, status: str, values: Mapping[str, float]) -> None:
        """End a run."""
        mine = self._runs[run.uid]
        self._client.set_tag(mine, STATUS, status)
        for name, value in values.items():
            self._client.log_metric(mine, f"outcome.{name}", value)
        self._client.set_terminated(mine, ENDS.get(status, "FAILED"))

    def table(self, text: str, frame: pd.DataFrame) -> None:
        """Write the tables as an artifact of a run of their own."""
        made = self._client.create_run(self._experiment, run_name="table")
        self._client.log_text(made.info.run_id, text, "table.md")
        self._client.set_terminated(made.info.run_id)
