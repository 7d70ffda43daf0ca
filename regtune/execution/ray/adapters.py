"""Thin adapters: Ray Tune asks a phase what to run, and tells it what came."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from regtune.core.records import Json
from regtune.execution.ray.nodes import node_of
from regtune.execution.ray.pool import SECONDS_BETWEEN_LOOKS, LanePool
from regtune.execution.ray.worker import decoded


class _NeverSaved:
    """Tune pickles what it is given into a file that we never read; a phase holds locks and files."""

    def __getstate__(self) -> dict[str, object]:
        return {}


class LaneSearcher(_NeverSaved, Searcher):
    """Tune's source of configurations: a worker each, as many as the pool hires."""

    def __init__(self, pool: LanePool) -> None:
        super().__init__()
        self._pool = pool

    def suggest(self, trial_id: str) -> Any:
        """Return the name of the next worker and the nodes that it is not to be on."""
        avoid = self._pool.hire(trial_id)
        if avoid is None:
            return Searcher.FINISHED if self._pool.over else None
        return {"worker": trial_id, "avoid": avoid}

    def on_trial_complete(self, trial_id: str, result: Json | None = None, error: bool = False) -> None:
        """Let go of a worker; its trials that have not ended are handed out again."""
        self._pool.leave(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the log is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the log is the truth."""


class LaneScheduler(_NeverSaved, FIFOScheduler):
    """Tune's judge: hands what a lane tells to the pool, which answers it."""

    def __init__(self, pool: LanePool) -> None:
        super().__init__()
        self._pool = pool
        self._looked = time.monotonic()

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Json) -> str:
        """Record a report: that one of its trials ends is the lane's business."""
        found = decoded(result)
        if found is not None:
            self._pool.told(trial.trial_id, *found)
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Record that a worker is gone by a fault: it or its node died, or it hung beyond the limit of a trial."""
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        self._pool.died(trial.trial_id, _last_words(text), node_of(text))

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Return the next worker to start; now and then, see to those that cannot start any more, or do nothing."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self._pool.release_idle()
            overrunning = self._pool.overrunning()
            for trial in tune_controller.get_live_trials():
                avoid = trial.config["avoid"]
                stuck = avoid and not self._pool.elsewhere(avoid)  # the only other node is gone
                waits = trial.status == TuneTrial.PENDING and (stuck or self._pool.over)
                if waits or trial.trial_id in overrunning:
                    tune_controller.request_stop_trial(trial)
        return self._without_worker(tune_controller)

    def _without_worker(self, tune_controller: Any) -> TuneTrial | None:
        """Return the longest waiting trial for which no worker is starting; it gets one that is free, if there is one.

        Tune's own choice is the longest waiting of all, and ends the worker that is starting for it: where trials are
        shorter than the start of a worker, the first worker takes them all and no other ever begins.
        """
        inner = tune_controller._tune_controller  # what a scheduler is given does not show who has a worker
        waiting = {t.trial_id: t for t in tune_controller.get_live_trials() if t.status == TuneTrial.PENDING}
        for trial_id in self._pool.in_order():
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
