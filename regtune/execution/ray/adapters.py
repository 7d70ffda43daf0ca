"""Thin adapters: Ray Tune asks a phase what to run, and tells it what came."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from regtune.core.records import Json, TrialKey
from regtune.execution.attempt import ReportPlan, overdue
from regtune.execution.controller import PhaseController
from regtune.execution.ray.nodes import Need, capacity, node_of
from regtune.execution.ray.transfer import OpaqueBytes
from regtune.execution.ray.worker import decode_report

SECONDS_BETWEEN_LOOKS = 2.0  # at the nodes of the cluster


class _NeverSaved:
    """Tune pickles what it is given into a file that we never read; a phase holds locks and files."""

    def __getstate__(self) -> dict[str, object]:
        return {}


class PhaseSearcher(_NeverSaved, Searcher):
    """Tune's source of configurations: as many as the nodes have room for, and `pending` that wait for more."""

    def __init__(self, phase: PhaseController, need: Need, *, pending: int) -> None:
        super().__init__()
        self._phase, self._need, self._pending = phase, need, pending
        self._cells: dict[str, TrialKey] = {}
        self._looked, self._slots = -SECONDS_BETWEEN_LOOKS, dict[str, int]()

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial as one string: Tune copies and flattens whatever else it gets."""
        if len(self._cells) >= sum(self.slots().values()) + self._pending:
            return None  # later: what is asked for early knows less
        task = self._phase.ask()
        if task is None:
            return Searcher.FINISHED if not self._cells else None  # one of those under way may come back
        self._cells[trial_id] = task.key
        return {
            "cell": str(task.key),
            "trial": json.dumps(task.trial.plain()),
            "resume": OpaqueBytes(task.resume.content) if task.resume else None,
            "avoid": list(task.avoid) if self.elsewhere(task.avoid) else [],
        }

    def on_trial_complete(self, trial_id: str, result: Json | None = None, error: bool = False) -> None:
        """Let go of a trial; one that has not ended is handed out again."""
        self._phase.back(self._cells.pop(trial_id))

    def cell(self, trial: TuneTrial) -> TrialKey:
        """Return the cell of a trial."""
        return self._cells[trial.trial_id]

    def in_order(self) -> list[str]:
        """Return Tune's ids of the trials that were handed out and have not come back, the longest waiting first."""
        return list(self._cells)

    def slots(self) -> dict[str, int]:
        """Return how many trials fit on each node, as of a moment ago."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked, self._slots = time.monotonic(), capacity(self._need)
        return self._slots

    def elsewhere(self, avoid: list[str] | tuple[str, ...]) -> bool:
        """Return whether there is a node for a trial beside those."""
        return bool(avoid) and bool(self.slots().keys() - set(avoid))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the log is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the log is the truth."""


class PhaseScheduler(_NeverSaved, FIFOScheduler):
    """Tune's judge: hands what an attempt reports to the phase and passes its decision on."""

    def __init__(self, phase: PhaseController, searcher: PhaseSearcher, pace: ReportPlan) -> None:
        super().__init__()
        self._phase, self._searcher, self._pace = phase, searcher, pace
        self._looked = time.monotonic()

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Json) -> str:
        """Record a report; stop the trial where the phase says so."""
        trial.config["resume"] = None  # the worker has it; Tune would keep it to the end of the phase
        found = decode_report(result)
        if found is None:
            return str(TrialScheduler.CONTINUE)
        decision = self._phase.take(self._searcher.cell(trial), *found)
        return str(TrialScheduler.STOP if decision == "stop" else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Record that an attempt ended by a fault: its worker or node died, or it ran into its own limit."""
        cell, limit = self._searcher.cell(trial), self._pace.trial_seconds
        begun = trial.run_metadata.start_time
        if limit is not None and begun is not None and time.time() - begun > limit:
            self._phase.end(cell, overdue(limit))
            return
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        self._phase.fault(cell, _last_words(text), node_of(text))

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Return the next trial to start; now and then, see to those that cannot start any more."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            if self._phase.closed:
                tune_controller.request_stop_experiment()
            for trial in tune_controller.get_live_trials():
                avoid = trial.config["avoid"]
                if trial.status == TuneTrial.PENDING and avoid and not self._searcher.elsewhere(avoid):
                    tune_controller.request_stop_trial(trial)  # the only other node is gone
        return self._without_worker(tune_controller)

    def _without_worker(self, tune_controller: Any) -> TuneTrial | None:
        """Return the longest waiting trial for which no worker is starting; it gets one that is free, if there is one.

        Tune's own choice is the longest waiting of all, and ends the worker that is starting for it: where trials are
        shorter than the start of a worker, the first worker takes them all and no other ever begins.
        """
        inner = tune_controller._tune_controller  # what a scheduler is given does not show who has a worker
        waiting = {t.trial_id: t for t in tune_controller.get_live_trials() if t.status == TuneTrial.PENDING}
        for trial_id in self._searcher.in_order():
            trial = waiting.get(trial_id)
            if trial is not None:
                actor = inner._trial_to_actor.get(trial)
                if actor is None or not inner._actor_manager.is_actor_started(actor):
                    return trial
        return None


def _last_words(text: str) -> str:
    """Return in one line what Tune wrote of the error that ended an attempt."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("The actor is dead because")] or lines[-1:]
    return said[0][:200] if said else "its worker ended before the trial did"
