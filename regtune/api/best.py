"""The best trial of an arm, and its network."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from regtune.core.html import html_table
from regtune.core.records import Trial, TrialKey
from regtune.results.best import best_confirmed
from regtune.results.loader import Results
from regtune.results.replay import MEASURED_METRICS

if TYPE_CHECKING:
    from regtune.execution.export import Exported


@dataclass(frozen=True, kw_only=True, repr=False)
class Best:
    """A confirmed trial: `key` says which, `trial` all that determines it, `knobs` what was chosen for its arm.

    `metrics` has what was measured at the end, see `Outcome`, the test examples included.
    """

    results: Results
    key: TrialKey
    trial: Trial
    knobs: dict[str, Any]
    metrics: dict[str, float]

    @classmethod
    def of(cls, results: Results, arm: str) -> Best:
        """Return the best confirmed trial of an arm by the metric of search, as `regtune export` takes it."""
        row = best_confirmed(results, arm)
        key = TrialKey(arm, "confirm", int(row["number"]))
        return cls(
            results=results,
            key=key,
            trial=Trial.from_plain(results.plain_trials[key]),
            knobs=dict(results.chosen[arm]),
            metrics={name: row[name] for name in MEASURED_METRICS if pd.notna(row[name])},
        )

    def load(self, data: str | Path | None = None) -> Exported:
        """Return the network with its weights, in eval mode on the CPU: pictures in [0, 1] to logits.

        Where the weights were not kept the trial is trained again, on data below the folder `data`; by default below
        that of REGTUNE_DATA. Raises Refused where that is impossible.
        """
        from regtune.api.given_network import check_here
        from regtune.data import DataLocation
        from regtune.execution.export import export, load_network

        check_here(self.trial.network)
        place = None if data is None else DataLocation(root=Path(data))
        with tempfile.TemporaryDirectory() as folder:
            weights, _ = export(self.results, self.key.arm, self.key.number, Path(folder), place=place)
            return load_network(weights)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        told = {**self.knobs, **self.metrics}
        rows = [(name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in told.items()]
        return html_table((), rows, f"{self.key} of {self.results.sweep.name}")

    def __repr__(self) -> str:
        """Return which trial this is, in one line."""
        return f"<{self.key} of {self.results.sweep.name}: {self.knobs}>"
