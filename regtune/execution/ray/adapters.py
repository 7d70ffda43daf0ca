"""Thin adapters: Ray Tune asks a phase what to run, and tells it what came."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from regtune.core.records import Json
from regtune.execution.attempt import ReportPlan, overdue
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneQueue, OpenLane
from regtune.execution.ray.nodes import Need, capacity, node_of
from regtune.execution.ray.transfer import OpaqueBytes
from regtune.execution.ray.worker import decoded

SECONDS_BETWEEN_LOOKS = 2.0  # at the nodes of the cluster


class _NeverSaved:
    """Tune pickles what it is given into a file that we never read; a phase holds locks and files."""

    def __getstate__(self) -> dict[str, object]:
        return {}


class LaneSearcher(_NeverSaved, Searcher):
    """Tune's source of configurations: as many lanes as the nodes have room for, and `pending` that wait for more."""

    def __init__(self, queue: LaneQueue, need: Need, *, pending: int) -> None:
        super().__init__()
        self._queue, self._need, self._pending = queue, need, pending
        self._lanes: dict[str, OpenLane] = {}
        self._looked, self._slots = -SECONDS_BETWEEN_LOOKS, dict[str, int]()

    def suggest(self, trial_id: str) -> Any:
        """Return what the next lane begins with, as bytes: Tune copies and flattens whatever else it gets."""
        if len(self._lanes) >= sum(self.slots().values()) + self._pending:
            return None  # later: what is asked for early knows less
        given = self._queue.begin()
        if given is None:
            return Searcher.FINISHED if not self._lanes else None  # what one of them trains may come back
        self._lanes[trial_id] = OpenLane(self._queue, given)
        avoid = dict.fromkeys(node for task in given.tasks for node in task.avoid)
        return {
            "lane": trial_id,
            "cell": str(given.tasks[0].key),
            "work": OpaqueBytes(pickle.dumps(given)),
            "avoid": list(avoid) if self.elsewhere(tuple(avoid)) else [],
        }

    def on_trial_complete(self, trial_id: str, result: Json | None = None, error: bool = False) -> None:
        """Let go of a lane; its trials that have not ended are handed out again."""
        self._lanes.pop(trial_id).end()

    def lane(self, trial: TuneTrial) -> OpenLane:
        """Return the lane of a trial of Tune."""
        return self._lanes[trial.trial_id]

    def in_order(self) -> list[str]:
        """Return Tune's ids of the lanes that were handed out and have not ended, the longest waiting first."""
        return list(self._lanes)

    def slots(self) -> dict[str, int]:
        """Return how many lanes fit on each node, as of a moment ago."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked, self._slots = time.monotonic(), capacity(self._need)
        return self._slots

    def elsewhere(self, avoid: list[str] | tuple[str, ...]) -> bool:
        """Return whether there is a node for a lane beside those."""
        return bool(avoid) and bool(self.slots().keys() - set(avoid))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the log is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the log is the truth."""


class LaneScheduler(_NeverSaved, FIFOScheduler):
    """Tune's judge: hands what a lane tells to the phase, and the phase's answer to the lane."""

    def __init__(self, phase: PhaseController, searcher: LaneSearcher, plan: ReportPlan, mailbox: Any) -> None:
        super().__init__()
        self._phase, self._searcher, self._plan, self._mailbox = phase, searcher, plan, mailbox
        self._heard: dict[str, float] = {}  # when each lane was last heard of
        self._looked = time.monotonic()

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Json) -> str:
        """Record a report, and answer it: that one of its trials ends is the lane's business."""
        trial.config["work"] = None  # the worker has it; Tune would keep it to the end of the phase
        found = decoded(result)
        if found is not None:
            answer = self._searcher.lane(trial).exchange(*found)
            self._heard[trial.trial_id] = time.time()
            self._mailbox.put.remote(trial.config["lane"], pickle.dumps(answer))
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Record that a lane ended by a fault: its worker or node died, or it hung beyond the limit of a trial."""
        lane, limit = self._searcher.lane(trial), self._plan.trial_seconds
        heard = self._heard.get(trial.trial_id, trial.run_metadata.start_time)
        if limit is not None and heard is not None and time.time() - heard > limit:
            if len(lane.open) == 1:
                self._phase.end(lane.open[0], overdue(limit))
                return
            lane.part()  # which of them hangs is seen when each has a lane by itself
            return
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        lane.fault(_last_words(text), node_of(text))

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
