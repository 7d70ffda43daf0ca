"""The lanes on a cluster: which workers there are, what each of them trains, and when one has nothing to do.

A worker stays for the whole sweep: where a lane has come to its end, it begins the next one, also of the next phase.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from regtune.execution.attempt import ReportPlan, overdue
from regtune.execution.lane_queue import LaneAnswer, LaneQueue, LaneReport, OpenLane, PhaseJob, Work
from regtune.execution.ray.nodes import Need, capacity

SECONDS_BETWEEN_LOOKS = 2.0  # at the nodes of the cluster
SECONDS_IDLE = 60.0  # after which a worker without work gives its CPUs back


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker is to do next: a lane of the phase of this number in the run, reported by this plan."""

    phase: int
    work: Work
    plan: ReportPlan


@dataclass(kw_only=True)
class _Worker:
    """A worker: its lane, None where it has none, when it was last heard of, whether it is there, on which node, and
    whether it was told to end.
    """

    lane: OpenLane | None
    since: float
    here: bool = False
    node: str = ""
    dismissed: bool = False


class LanePool:
    """Hands the lanes of one phase after the other to workers, by their names.

    `send` brings a worker an assignment, an answer, or None for the end; `publish` has the data of a phase at hand for
    workers, by its number. At most so many workers are there as fit on the nodes, and `pending` more.
    """

    def __init__(
        self,
        jobs: Iterator[PhaseJob],
        need: Need,
        *,
        pending: int,
        send: Callable[[str, Assignment | LaneAnswer | None], None],
        publish: Callable[[int, PhaseJob], None],
    ) -> None:
        self._jobs, self._need, self._pending, self._send, self._publish = jobs, need, pending, send, publish
        self._workers: dict[str, _Worker] = {}
        self._job: PhaseJob | None = None
        self._queue: LaneQueue
        self._number = 0
        self._looked, self._slots = -SECONDS_BETWEEN_LOOKS, dict[str, int]()
        self._advance()

    @property
    def over(self) -> bool:
        """Whether there is no further phase."""
        return self._job is None

    def hire(self, name: str) -> list[str] | None:
        """Return the nodes that a new worker is not to be on, None where none is needed now.

        It says that it is there before it is given a lane: who waits for room on the nodes keeps nothing waiting.
        """
        if not self._workers:  # nobody else would see that a phase has nothing to train
            self._employ()
        free = sum(worker.lane is None and not worker.dismissed for worker in self._workers.values())
        room = sum(self.slots().values()) + self._pending - len(self._workers)
        if self._job is None or room <= 0 or self._queue.lanes_waiting(free + 1) <= free:
            return None
        self._workers[name] = _Worker(lane=None, since=time.monotonic())
        avoid = self._queue.avoided()
        return avoid if self.elsewhere(avoid) else []

    def told(self, name: str, told: LaneReport | None, where: Mapping[str, str]) -> None:
        """Take what a worker reports of its lane, or that it has none any more, and answer it."""
        worker = self._workers[name]
        worker.here, worker.node = True, where.get("node", "")
        worker.since = time.monotonic()
        if told is None:
            self._end(worker)
        elif worker.lane is not None:
            self._send(name, worker.lane.exchange(told, where))
        self._employ()

    def died(self, name: str, message: str, node: str) -> None:
        """Take note that a worker is gone: by a fault of the machine, or since it was silent beyond a trial's limit."""
        worker = self._workers[name]
        lane = worker.lane
        if lane is None or self._job is None:
            return
        limit = self._job.plan.trial_seconds
        limit = limit and limit * len(lane.open)  # each of them has a share of the lane's time
        if limit is not None and time.monotonic() - worker.since > limit:
            if len(lane.open) == 1:
                self._job.controller.end(lane.open[0], overdue(self._job.plan.trial_seconds or 0.0))
            else:
                lane.isolate()  # which of them hangs is seen when each has a lane by itself
            return
        lane.fault(message, node)

    def leave(self, name: str) -> None:
        """Take note that a worker has ended; what it was training is handed out again."""
        self._end(self._workers.pop(name))
        self._employ()

    def in_order(self) -> list[str]:
        """Return the names of the workers, the longest there first."""
        return list(self._workers)

    def release_idle(self) -> None:
        """Have workers end that have had nothing to do for long."""
        now = time.monotonic()
        for name, worker in self._workers.items():
            if worker.lane is None and worker.here and now - worker.since > SECONDS_IDLE:
                self._dismiss(name, worker)

    def slots(self) -> dict[str, int]:
        """Return how many workers fit on each node, as of a moment ago."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked, self._slots = time.monotonic(), capacity(self._need)
        return self._slots

    def elsewhere(self, nodes: Sequence[str]) -> bool:
        """Return whether there is a node for a worker beside those."""
        return bool(nodes) and bool(self.slots().keys() - set(nodes))

    def overrunning(self) -> list[str]:
        """Return the workers that still train although a limit has closed the phase, and have not heard of it."""
        if self._job is None or not self._job.controller.closed:
            return []
        late = time.monotonic() - SECONDS_BETWEEN_LOOKS
        return [name for name, worker in self._workers.items() if worker.lane is not None and worker.since < late]

    def _end(self, worker: _Worker) -> None:
        """Have a worker be without a lane."""
        if worker.lane is not None:
            worker.lane.end()
        worker.lane = None

    def _employ(self) -> None:
        """Give every worker without a lane one, and see whether the phase is over."""
        while self._job is not None:
            for name, worker in self._workers.items():
                if worker.lane is None and worker.here and not worker.dismissed:
                    self._assign(name, worker)
            if not self._is_over():
                return
            self._advance()
        for name, worker in self._workers.items():
            if worker.here:
                self._dismiss(name, worker)

    def _dismiss(self, name: str, worker: _Worker) -> None:
        """Have a worker end, once."""
        if not worker.dismissed:
            worker.dismissed = True
            self._send(name, None)

    def _is_over(self) -> bool:
        """Return whether nothing is left of the phase: no lane is at work, and there is none to begin."""
        if self._job is None:
            return True
        if any(worker.lane is not None for worker in self._workers.values()):
            return False
        return self._job.controller.done or not self._queue.waiting

    def _assign(self, name: str, worker: _Worker) -> None:
        """Give a worker a lane, if there is one for it."""
        if self._job is not None and (work := self._queue.begin(worker.node)) is not None:
            worker.lane, worker.since = OpenLane(self._queue, work), time.monotonic()
            self._send(name, Assignment(phase=self._number, work=work, plan=self._job.plan))

    def _advance(self) -> None:
        """Begin with the next phase, if there is one."""
        if self._job is not None:
            self._queue.close()
        self._job = next(self._jobs, None)
        if self._job is not None:
            self._number += 1
            self._publish(self._number, self._job)
            lanes = max(1, sum(self.slots().values()))
            self._queue = LaneQueue(self._job, lanes=lanes, elsewhere=self.elsewhere)
