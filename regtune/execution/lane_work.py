"""A lane at work: trials side by side as one program, or one after the other where that is faster.

The same on a worker of a cluster and in one's own process: `Exchange` is the one call by which all that an epoch of the
lane brings goes to the phase, and by which come back which trials it lets go and which take the free slots.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Sequence

from regtune.core.records import Trial, TrialKey
from regtune.core.signals import Interrupted
from regtune.data import Pool, Splits
from regtune.execution.alone import attempt
from regtune.execution.attempt import Report, ReportPlan, is_fault, unreadable
from regtune.execution.lane_queue import LaneAnswer, LaneReport, Work
from regtune.execution.lane_width import can_share, measured_width
from regtune.execution.reporter import Reporter
from regtune.execution.trial_queue import Task
from regtune.storage.checkpoints import Saved
from regtune.training.build import split_data
from regtune.training.lane import Lane
from regtune.training.trainer import weights_of

Exchange = Callable[[LaneReport], LaneAnswer]
FEWEST_ROWS = 2  # of a program that trains several


def work(given: Work, data: Splits | Pool, plan: ReportPlan, exchange: Exchange) -> None:
    """Train what a lane begins with, and whatever comes after it, until there is nothing of its kind.

    What a user's code raises is the outcome of its trial. Where several trials were under way nobody knows whose it
    was, and they go back, each to be in a lane by itself. A fault of the machine is raised.
    """
    own = OwnSplits(data)
    trials = [task.trial for task in given.tasks]
    if given.width is None:
        width = measured_width(trials, own, most=len(trials))
    else:
        width = given.width if given.width > 1 and can_share(trials, own) else 1
    if width == 1:
        _alone(given.tasks, data, plan, exchange)
    else:
        _side_by_side(given, own, width, plan, exchange)


class OwnSplits:
    """What trials read: the splits of all, or of a pool each its own, made once for those that share them."""

    def __init__(self, data: Splits | Pool) -> None:
        self._data, self._known = data, dict[str, Splits]()

    def of(self, trials: Sequence[Trial]) -> Splits | list[Splits]:
        """Return what a lane of these trials is given."""
        return self._data if isinstance(self._data, Splits) else [self.one(trial) for trial in trials]

    def own(self, trial: Trial) -> Splits | None:
        """Return what a trial that takes a slot brings along: None where all read the same."""
        return None if isinstance(self._data, Splits) else self.one(trial)

    def one(self, trial: Trial) -> Splits:
        """Return the splits of a trial."""
        if isinstance(self._data, Splits):
            return self._data
        key = json.dumps(trial.data, sort_keys=True)
        if key not in self._known:
            self._known[key] = split_data(trial, self._data)
        return self._known[key]


def _alone(tasks: Sequence[Task], data: Splits | Pool, plan: ReportPlan, exchange: Exchange) -> None:
    """Train the first trial; others that were given go back, to lanes of their own."""
    task, *others = tasks
    if others:
        exchange(LaneReport(width=1, back=[other.key for other in others]))
    for report in attempt(task.trial, data, plan, task.resume.content if task.resume else None):
        answer = exchange(LaneReport(width=1, reports=[(task.key, report)]))
        if task.key in answer.stopped:
            break


class _Slots:
    """The slots of a lane of a `width` and who is in them.

    Where slots stay idle, being `short` of trials, it leaves them out if no bit changes by that; it is then the `last`
    of its trials and takes no further ones.
    """

    def __init__(self, own: OwnSplits, width: int, plan: ReportPlan) -> None:
        self._own, self.width, self._narrows = own, width, True
        self.short = self.last = False
        self._lane: Lane | None = None
        self._reporter = Reporter[TrialKey](plan)
        self.open: dict[TrialKey, int] = {}  # trials under way, and their slots

    @property
    def free(self) -> int:
        """How many slots have no trial; the `last` lane of its kind takes none into them."""
        return self.width - len(self.open)

    @property
    def due(self) -> bool:
        """Whether the phase should hear of it now."""
        return self._reporter.due

    def fill(self, tasks: Sequence[Task]) -> None:
        """Have trials begin in free slots; what one of them raises is its end."""
        for task in tasks:
            place = next(place for place in range(self.width) if place not in self.open.values())
            self._reporter.begin(task.key, task.trial)
            try:
                lane = self._started(place, task)
                if task.resume is not None:
                    self._resume(lane, place, task, task.resume)
            except Interrupted:
                raise
            except BaseException as error:
                if is_fault(error):
                    raise
                self._reporter.fail(task.key, error)
            else:
                self._lane, self.open[task.key] = lane, place

    def _started(self, place: int, task: Task) -> Lane:
        """Return the lane with a trial in a slot; the first one makes it, all other slots being idle."""
        if self._lane is None:
            return Lane((task.trial,), data=self._own.of([task.trial]), width=self.width)
        self._lane.replace(place, task.trial, data=self._own.own(task.trial))
        return self._lane

    def _resume(self, lane: Lane, place: int, task: Task, saved: Saved) -> None:
        try:
            lane.restore(place, saved.content)
        except Exception as error:
            if is_fault(error):
                raise
            warnings.warn(unreadable(task.trial, error), stacklevel=2)
            lane.replace(place, task.trial, data=self._own.own(task.trial))

    def _narrow(self, lane: Lane) -> Lane:
        """Return the lane without the slots that are idle, where half of them are."""
        places = [*self.open.values()]
        if not (self.short and self._narrows) or max(len(places), FEWEST_ROWS) > lane.width // 2:
            return lane
        found = lane.narrowed([*places, *places[:1]] if len(places) == 1 else places)
        if found is None:
            self._narrows = False
            return lane
        self.last, self._lane = True, found
        self.open = {key: place for place, key in enumerate(self.open)}
        return found

    def epoch(self) -> None:
        """Train an epoch of all. What the code of one of them raises between two epochs is the end of that one."""
        lane = self._narrow(self._begun())
        found = next(lane)
        for key, place in [*self.open.items()]:
            one, epoch = lane.members[place], found[place]
            if one.error is not None:
                if is_fault(one.error):
                    raise one.error
                self.fail(key, one.error)
            elif epoch is None:
                raise ValueError(f"slot {place} of the lane was taken and has no epoch")
            elif self._reporter.epoch(key, epoch, functools.partial(self._weights, lane, place)):
                del self.open[key]
                lane.release(place)

    def _begun(self) -> Lane:
        if self._lane is None:
            raise ValueError("a lane is filled before it trains")
        return self._lane

    def _weights(self, lane: Lane, place: int) -> bytes:
        return weights_of(lane.kept_at(place), self._own.one(lane.members[place].trial))

    def stop(self, keys: Sequence[TrialKey]) -> None:
        """Let trials go that are to end."""
        for key in keys:
            if key in self.open:
                self._begun().release(self.open.pop(key))
                self._reporter.drop(key)

    def told(self, *, sound: bool = True) -> list[tuple[TrialKey, Report]]:
        """Return what there is to tell, with checkpoints where it is time for them.

        None of those where the lane is not `sound`, in the middle of an epoch.
        """
        return self._reporter.told((lambda key: self._begun().checkpoint(self.open[key])) if sound else None)

    def fail(self, key: TrialKey, error: BaseException) -> None:
        """Take note that a trial under way ended by what it raised."""
        del self.open[key]
        self._reporter.fail(key, error)


def _side_by_side(given: Work, own: OwnSplits, width: int, plan: ReportPlan, exchange: Exchange) -> None:
    slots, tasks = _Slots(own, width, plan), given.tasks
    slots.fill(tasks[:width])
    slots.short = len(tasks) < width and not given.may_refill
    back = [task.key for task in tasks[width:]]
    while slots.open or slots.due or back:
        if slots.due or back:
            told = LaneReport(width=width, reports=slots.told(), free=slots.free, last=slots.last, back=back)
            answer = exchange(told)
            back = []
            slots.stop(answer.stopped)
            slots.short = slots.last or slots.free > len(answer.tasks)
            slots.fill(answer.tasks)
            continue
        try:
            slots.epoch()
        except Interrupted:
            raise
        except BaseException as error:
            if is_fault(error):
                raise
            keys = [*slots.open]
            if len(keys) > 1:
                exchange(LaneReport(width=width, reports=slots.told(sound=False), apart=keys))
                return
            slots.fail(keys[0], error)
            exchange(LaneReport(width=width, reports=slots.told(sound=False)))
            return
