"""The function that Ray Tune runs on a worker: a lane, which sends reports home and waits for what to do next."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray
from ray import tune

from regtune.core.records import Json
from regtune.execution.attempt import ReportPlan
from regtune.execution.lane_queue import LaneAnswer, LaneReport, Work
from regtune.execution.lane_work import work
from regtune.execution.ray.transfer import OpaqueBytes, SharedData
from regtune.execution.trial_environment import place_for
from regtune.training.process import prepare_process

REPORT = "report"
GRACE = 1.1  # an attempt looks at its limit between epochs; one that hangs inside of one is ended a little later


def train_lane(config: Json, shared_data: SharedData, plan: ReportPlan, mailbox: Any) -> None:
    """Train the lane of a Tune configuration.

    A fault of the machine is raised: Tune then ends this process, and the phase hands its trials out again.
    """
    given: Work = pickle.loads(config["work"].take())  # noqa: S301 - from our own driver
    trial, lane = given.tasks[0].trial, config["lane"]
    prepare_process(trial.threads)
    here = place_for(trial.device) | {"node": ray.get_runtime_context().get_node_id()}
    with _watched(plan.trial_seconds) as alive:

        def exchange(told: LaneReport) -> LaneAnswer:
            tune.report(encoded(told, here))
            answer: LaneAnswer = pickle.loads(ray.get(mailbox.take.remote(lane)))  # noqa: S301 - likewise
            alive()
            return answer

        work(given, shared_data.unpack(), plan, exchange)


@contextlib.contextmanager
def _watched(seconds: float | None) -> Iterator[Callable[[], None]]:
    """End this process where so long nothing is exchanged, even where it hangs in code that is not Python's.

    Yields what is called to say that it goes on.
    """

    def alive() -> None:
        if seconds is not None:
            faulthandler.dump_traceback_later(GRACE * seconds, exit=True)

    alive()
    try:
        yield alive
    finally:
        faulthandler.cancel_dump_traceback_later()


def encoded(told: LaneReport, here: Mapping[str, str]) -> Json:
    """Return what a lane tells as bytes: Tune flattens tables and takes them apart."""
    return {REPORT: OpaqueBytes(pickle.dumps((told, dict(here))))}


def decoded(result: Json) -> tuple[LaneReport, dict[str, str]] | None:
    """Return what a Tune result tells, and on what it was trained; None for a result of Tune's own."""
    if REPORT not in result:
        return None
    found: tuple[LaneReport, dict[str, str]] = pickle.loads(result[REPORT].take())  # noqa: S301 - from our own worker
    return found
