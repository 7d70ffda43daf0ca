"""Thin adapters: Ray Tune asks a phase what to run, and tells it what came."""

from __future__ import annotations

import json
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from regtune.cluster.worker import read_report
from regtune.phase import Phase
from regtune.records import Cell, Outcome, Plain


class _NeverSaved:
    """Tune pickles what it is given into a file that we never read; a phase holds locks and files."""

    def __getstate__(self) -> dict[str, object]:
        return {}


class PhaseSearcher(_NeverSaved, Searcher):
    """Tune's source of configurations."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self._phase = phase
        self._cells: dict[str, Cell] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial as one string: Tune copies and flattens whatever else it gets."""
        asked = self._phase.ask()
        if asked is None:
            return Searcher.FINISHED
        self._cells[trial_id] = asked.cell
        return {"cell": str(asked.cell), "trial": json.dumps(asked.trial.plain())}

    def on_trial_complete(self, trial_id: str, result: Plain | None = None, error: bool = False) -> None:
        """Close a trial whose worker died; all others have closed themselves."""
        message = "its worker process ended before the trial did"
        self._phase.end(self._cells[trial_id], Outcome(status="failed", message=message))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the log is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the log is the truth."""


class PhaseScheduler(_NeverSaved, FIFOScheduler):
    """Tune's judge: hands the epochs to the phase and passes its decision on."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self._phase = phase

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Plain) -> str:
        """Record a bundle of epochs; stop the trial where the phase says so."""
        arm, kind, number = trial.config["cell"].rsplit("/", 2)
        cell = Cell(arm, kind, int(number))
        epochs, outcome = read_report(result)
        decision = self._phase.tell(cell, epochs)
        if outcome is not None:
            self._phase.end(cell, outcome)
        return str(TrialScheduler.STOP if decision == "stop" else TrialScheduler.CONTINUE)
