"""The function that Ray Tune runs on a worker: lanes, which send reports home and wait for what to do next."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from regtune.core.records import Json
from regtune.execution import lane_work
from regtune.execution.lane_queue import LaneAnswer, LaneReport
from regtune.execution.ray.pool import Assignment
from regtune.execution.ray.transfer import OpaqueBytes, SharedData
from regtune.execution.trial_environment import place_for
from regtune.training.process import prepare_process

REPORT = "report"
GRACE = 1.1  # an attempt looks at its limit between epochs; one that hangs inside of one is ended a little later


def train_lanes(config: Json, mailbox: Any, work: Callable[..., None] = lane_work.work) -> None:
    """Train the lanes that the driver sends, until it sends none; `config` has the name of this worker.

    A fault of the machine is raised: Tune then ends this process, and the phase hands its trials out again. `work` is
    replaced only to time the rest.
    """
    driver, data = _Driver(mailbox=mailbox, name=config["worker"]), _PhaseData(mailbox)
    node = {"node": ray.get_runtime_context().get_node_id()}
    assignment: Assignment | None
    while (assignment := driver.ask(None, node)) is not None:
        trial = assignment.work.tasks[0].trial
        prepare_process(trial.threads)
        here = place_for(trial.device) | node
        with _watched(assignment.plan.trial_seconds) as alive:
            alive(len(assignment.work.tasks))
            shared = data.of(assignment.phase)
            work(assignment.work, shared.unpack(), assignment.plan, driver.exchange(here, alive))
        del shared


@dataclass(frozen=True, kw_only=True)
class _Driver:
    """The way to the driver: by a report of Tune's to it, by the mailbox back."""

    mailbox: Any
    name: str

    def ask(self, told: LaneReport | None, here: Mapping[str, str]) -> Any:
        """Tell the driver something and return what it answers."""
        tune.report(encoded(told, here))
        return pickle.loads(ray.get(self.mailbox.take.remote(self.name)))  # noqa: S301 - from our own driver

    def exchange(self, here: Mapping[str, str], alive: Callable[[int], None]) -> Callable[[LaneReport], LaneAnswer]:
        """Return the exchange of a lane, which says that so many are `alive` whenever it is answered."""

        def exchange(told: LaneReport) -> LaneAnswer:
            answer: LaneAnswer = self.ask(told, here)
            alive(max(1, told.width - told.free + len(answer.tasks)))
            return answer

        return exchange


class _PhaseData:
    """The data of the phase that is under way; of the one before nothing is kept."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox, self._phase = mailbox, 0
        self._shared: SharedData | None = None

    def of(self, phase: int) -> SharedData:
        """Return the data of a phase by its number in the run."""
        if self._shared is None or phase != self._phase:
            self._shared = None
            (reference,) = ray.get(self._mailbox.published.remote(phase))
            self._phase, self._shared = phase, ray.get(reference)
        if self._shared is None:
            raise ValueError(f"phase {phase} has no data")
        return self._shared


@contextlib.contextmanager
def _watched(seconds: float | None) -> Iterator[Callable[[int], None]]:
    """End this process where a trial takes so long without an exchange, even where it hangs in code not Python's.

    Yields what is called to say that it goes on, with so many trials that share the time.
    """

    def alive(trials: int) -> None:
        if seconds is not None:
            faulthandler.dump_traceback_later(GRACE * seconds * trials, exit=True)

    try:
        yield alive
    finally:
        faulthandler.cancel_dump_traceback_later()


def encoded(told: LaneReport | None, here: Mapping[str, str]) -> Json:
    """Return what a lane tells as bytes, None where it has ended: Tune flattens tables and takes them apart."""
    return {REPORT: OpaqueBytes(pickle.dumps((told, dict(here))))}


def decoded(result: Json) -> tuple[LaneReport | None, dict[str, str]] | None:
    """Return what a Tune result tells, and on what it was trained; None for a result of Tune's own."""
    if REPORT not in result:
        return None
    found: tuple[LaneReport | None, dict[str, str]]
    found = pickle.loads(result[REPORT].take())  # noqa: S301 - from our own worker
    return found
