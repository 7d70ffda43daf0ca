"""Which trial goes into which lane: what a phase hands out, sorted by what may train side by side.

A lane begins with the trials that have waited longest among those that are alike, and gets further ones of their kind
where slots become free. Its width is a property of the kind: measured once, written into the log, and the same for
every lane of that kind from then on, so that a trial has the same bits whenever and wherever it is trained.
"""

from __future__ import annotations

import hashlib
import json
from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from regtune.core.records import TrialKey
from regtune.data import Pool, Splits
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.trial_queue import Task
from regtune.storage.environment import LANE
from regtune.training.assembly import common

FEWEST = 4  # trials of which a width is measured: two say little of many
MOST = 64  # slots of a lane, where nothing else is asked for
AHEAD = 10_000  # trials that are asked for before their turn
TOGETHER = 2  # attempts that a trial has among others; a fault that it meets again may be its own doing


@dataclass(frozen=True, kw_only=True)
class LaneTerms:
    """How trials are put into lanes.

    `width` is that of every lane, None where it is measured, at `most`. Trials are asked for `ahead` of their turn
    where nothing that is learnt until then would change them.
    """

    width: int | None = None
    most: int = MOST
    ahead: bool = True


@dataclass(frozen=True, kw_only=True)
class PhaseJob:
    """A phase to run to its end: on these splits, or on splits of this pool that each trial has for itself."""

    controller: PhaseController
    data: Splits | Pool
    plan: ReportPlan
    terms: LaneTerms


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a lane begins with: trials of one `kind`, and the width of their lanes, None where nobody measured it.

    `may_refill` says that slots which stay idle at first may still get trials.
    """

    kind: str
    tasks: tuple[Task, ...]
    width: int | None
    may_refill: bool


@dataclass(frozen=True, kw_only=True)
class LaneReport:
    """What a lane of a `width` has to tell at once: a report for each trial that has one, how many slots are free.

    These trials are its `last` where it takes no further ones. `back` are those that it does not train; what goes
    `apart` is to be in a lane by itself.
    """

    width: int
    reports: Sequence[tuple[TrialKey, Report]] = ()
    free: int = 0
    last: bool = False
    back: Sequence[TrialKey] = ()
    apart: Sequence[TrialKey] = ()


@dataclass(frozen=True, kw_only=True)
class LaneAnswer:
    """What a lane does next: it lets trials go, and takes others into its free slots."""

    stopped: Sequence[TrialKey] = ()
    tasks: Sequence[Task] = ()


class LaneQueue:
    """The trials of a phase on their way into lanes, `lanes` of which train at once.

    `elsewhere` says whether there is a node beside those: a trial that met faults on a node goes to another one.
    """

    def __init__(
        self, job: PhaseJob, *, lanes: int = 1, elsewhere: Callable[[Sequence[str]], bool] = lambda nodes: False
    ) -> None:
        self._phase, self._terms, self._lanes = job.controller, job.terms, lanes
        self._own_splits, self._elsewhere = isinstance(job.data, Pool), elsewhere
        self._waiting: list[tuple[str, Task]] = []  # with their kinds, the longest waiting first
        self._order: dict[TrialKey, int] = {}  # in which trials were asked for
        self._apart: set[TrialKey] = set()
        self._measured: set[str] = set()  # kinds of which a lane is measuring the width
        self._share: int | None = None  # of what there is to train first, where all lanes train at once

    @property
    def waiting(self) -> bool:
        """Whether there are trials that no lane has."""
        self._look_ahead(1)
        return bool(self._waiting)

    def lanes_waiting(self, wanted: int) -> int:
        """Return how many lanes there are trials for that no lane has, where so many are wanted."""
        self._look_ahead(wanted)
        counts = Counter(kind for kind, _ in self._waiting)
        usual = min(self._terms.most, self._share or 1)
        return sum(-(-count // (self._width(kind) or usual)) for kind, count in counts.items())

    def avoided(self) -> list[str]:
        """Return the nodes that the longest waiting trial is not to go to."""
        return list(self._waiting[0][1].avoid) if self._waiting else []

    def begin(self, node: str = "") -> Work | None:
        """Return what a lane on a node begins with, None where there is nothing for it to train now."""
        self._look_ahead(self._terms.width or 1)
        if self._phase.closed:
            return None
        kind = self._next_kind(node)
        if kind is None and self._ask_one():  # those that wait are for other nodes
            kind = self._next_kind(node)
        if kind is None:
            return None
        width = self._width(kind)
        most = width or max(1, min(self._terms.most, self._share or 1))
        work = Work(
            kind=kind, tasks=tuple(self._taken(kind, most, node)), width=width, may_refill=not self._terms.ahead
        )
        if width is None:
            self._measured.add(kind)
        for task in work.tasks if width else work.tasks[:1]:  # how many a lane takes is not known before
            self._phase.record(task.key)
        return work

    def exchange(self, work: Work, told: LaneReport, where: Mapping[str, str]) -> LaneAnswer:
        """Record what a lane tells, and return what it does next; `where` says on what it runs."""
        self.measured(work)
        if work.width is None and len(work.tasks) >= FEWEST and work.kind not in self._phase.lane_widths:
            self._phase.keep_lane_width(work.kind, told.width)
        self._put_back(work, told.back)
        self.isolate(told.apart)
        place = {**where, LANE: str(told.width)} if told.width > 1 else where
        stopped = self._phase.take_all(told.reports, place)
        ended = {key for key, report in told.reports if report.ends}
        self.give_back(stopped)
        free = told.free + len(set(stopped) - ended)
        # One trial after the other each takes its turn among all; what goes apart has no company.
        refills = told.width > 1 and not told.last and not any(self._goes_apart(task) for task in work.tasks)
        return LaneAnswer(stopped=stopped, tasks=self._more(work.kind, free, where) if refills else [])

    def fault(self, keys: Collection[TrialKey], message: str, node: str = "") -> None:
        """Record that a fault of the machine ended a lane with these trials in it.

        Of several nobody knows whose it was: none is lost by it, those that have no further attempt go apart.
        """
        for key in keys:
            if len(keys) > 1 and self._phase.is_last_attempt(key):
                self.isolate([key])
            else:
                self._phase.fault(key, message, node)

    def measured(self, work: Work) -> None:
        """Take note that the lane which measured a kind has answered, or ended."""
        self._measured.discard(work.kind)

    def isolate(self, keys: Collection[TrialKey]) -> None:
        """Take back trials of which one may be at fault: each comes into a lane by itself."""
        self._apart |= set(keys)
        self.give_back(keys)

    def give_back(self, keys: Iterable[TrialKey]) -> None:
        """Take back trials that no lane trains any more, if they have not ended."""
        for key in keys:
            self._phase.back(key)

    def close(self) -> None:
        """Give back what no lane has begun with."""
        self.give_back(task.key for _, task in self._waiting)
        self._waiting.clear()

    def _kind(self, task: Task) -> str:
        """Return what a trial has in common with those that it may share a lane with, as a hash."""
        if self._terms.width == 1:
            return ""
        try:
            shared = {"phase of the sweep": task.key.phase, **common(task.trial, own_splits=self._own_splits)}
        except Exception:  # a method of the user's that cannot be made: its trial says so, in a lane by itself
            return str(task.key)
        return hashlib.sha256(json.dumps(shared, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def _next_kind(self, node: str) -> str | None:
        """Return the kind of the longest waiting trial for a node, but none that a lane is measuring."""
        return next(
            (kind for kind, task in self._waiting if kind not in self._measured and self._allowed_on(task, node)), None
        )

    def _width(self, kind: str) -> int | None:
        """Return the width of lanes of a kind, as the terms or the log have it."""
        return self._terms.width or self._phase.lane_widths.get(kind)

    def _more(self, kind: str, free: int, where: Mapping[str, str]) -> list[Task]:
        """Return further trials of a kind, as many as there are free slots."""
        if not free or self._phase.closed:
            return []
        self._look_ahead(free)
        taken = self._taken(kind, free, where.get("node", ""), company=True)
        for task in taken:
            self._phase.record(task.key)
        return taken

    def _put_back(self, work: Work, keys: Collection[TrialKey]) -> None:
        """Have trials that a lane did not take wait in their old places."""
        back = [(work.kind, task) for task in work.tasks if task.key in keys]
        if back:
            self._waiting = sorted([*back, *self._waiting], key=lambda each: self._order[each[1].key])

    def _taken(self, kind: str, most: int, node: str, *, company: bool = False) -> list[Task]:
        """Take the next trials of a kind; one that goes apart is taken by itself, and not where there is `company`."""
        first = next((task for each, task in self._waiting if each == kind and self._allowed_on(task, node)), None)
        alone = first is not None and not company and self._goes_apart(first)
        taken, passed, looked = list[Task](), list[tuple[str, Task]](), 0
        for each, task in self._waiting:  # as far as is needed: thousands may wait
            if len(taken) == (1 if alone else most):
                break
            looked += 1
            if each == kind and self._allowed_on(task, node) and (alone or not self._goes_apart(task)):
                taken.append(task)
            else:
                passed.append((each, task))
        self._waiting = passed + self._waiting[looked:]
        return taken

    def _allowed_on(self, task: Task, node: str) -> bool:
        """Return whether a trial may go to a node."""
        return node not in task.avoid or not self._elsewhere(task.avoid)

    def _goes_apart(self, task: Task) -> bool:
        return task.key in self._apart or task.faults >= TOGETHER

    def _look_ahead(self, wanted: int) -> None:
        """Ask the phase for all trials that there are, or for as many as are wanted where results decide which."""
        while len(self._waiting) < (AHEAD if self._terms.ahead else wanted):
            if not self._ask_one():
                break
        if self._share is None and self._waiting:
            self._share = -(-len(self._waiting) // self._lanes)

    def _ask_one(self) -> bool:
        """Ask the phase for a further trial; one that comes back keeps its place."""
        task = self._phase.ask(ahead=True)
        if task is None:
            return False
        self._order.setdefault(task.key, len(self._order))
        insort(self._waiting, (self._kind(task), task), key=lambda each: self._order[each[1].key])
        return True


class OpenLane:
    """A lane that works for a queue, as the driver knows it: `open` are the trials in it."""

    def __init__(self, queue: LaneQueue, given: Work) -> None:
        self._queue, self.given = queue, given
        self.open = [task.key for task in given.tasks]

    def exchange(self, told: LaneReport, where: Mapping[str, str]) -> LaneAnswer:
        """Record what the lane tells, and return what it does next."""
        answer = self._queue.exchange(self.given, told, where)
        gone = {*told.back, *told.apart, *answer.stopped}
        gone |= {key for key, report in told.reports if report.ends}
        self.open = [key for key in self.open if key not in gone] + [task.key for task in answer.tasks]
        return answer

    def fault(self, message: str, node: str = "") -> None:
        """Record that a fault of the machine ended the lane."""
        self._queue.measured(self.given)
        self._queue.fault(self.open, message, node)

    def isolate(self) -> None:
        """Give back the trials of the lane, each to be in one by itself."""
        self._queue.isolate(self.open)
        self.open = []

    def end(self) -> None:
        """Give back what the lane did not end."""
        self._queue.measured(self.given)
        self._queue.give_back(self.open)
