"""A lane at work: trials side by side as one program, or one after the other where that is faster.

The same on a worker of a cluster and in one's own process: `Exchange` is the one call by which all that an epoch of the
lane brings goes to the phase, and by which come back which trials it lets go and which take the free slots.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from regtune.core.records import Epoch, Outcome, Trial, TrialKey
from regtune.core.signals import Interrupted
from regtune.data import Pool, Splits
from regtune.execution.attempt import Report, ReportPlan, attempt, failed, is_fault, overdue, unreadable
from regtune.execution.lane_queue import LaneAnswer, LaneReport, Work
from regtune.execution.lane_width import can_share, measured_width
from regtune.execution.trial_queue import Task
from regtune.storage.checkpoints import Saved
from regtune.training.build import split_data
from regtune.training.lane import Lane
from regtune.training.trainer import weights_of

Exchange = Callable[[LaneReport], LaneAnswer]


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
        _side_by_side(given.tasks, own, width, plan, exchange)


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


@dataclass(kw_only=True)
class _Slot:
    """A trial under way: its seconds so far, and its epochs that were not yet reported."""

    task: Task
    seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)


class _Slots:
    """The slots of a lane and who is in them; `reports` is what there is to tell."""

    def __init__(self, own: OwnSplits, width: int, plan: ReportPlan) -> None:
        self._own, self._plan, self.width = own, plan, width
        self._lane: Lane | None = None
        self.open: dict[int, _Slot] = {}
        self.reports: list[tuple[TrialKey, Report]] = []
        self._reported = self._saved = time.monotonic()

    @property
    def free(self) -> int:
        """How many trials could begin."""
        return self.width - len(self.open)

    def fill(self, tasks: Sequence[Task]) -> None:
        """Have trials begin in free slots; what one of them raises is its end."""
        for task in tasks:
            place = next(place for place in range(self.width) if place not in self.open)
            try:
                lane = self._started(place, task)
                if task.resume is not None:
                    self._resume(lane, place, task, task.resume)
            except Interrupted:
                raise
            except BaseException as error:
                if is_fault(error):
                    raise
                self.reports.append((task.key, Report(outcome=failed(error))))
            else:
                self._lane, self.open[place] = lane, _Slot(task=task)

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

    def epoch(self) -> bool:
        """Train an epoch of all; return whether the phase should hear of it now."""
        if self._lane is None:
            raise ValueError("a lane is filled before it trains")
        found = next(self._lane)
        due = False
        for place, slot in [*self.open.items()]:
            epoch = found[place]
            if epoch is None:
                raise ValueError(f"slot {place} of the lane was taken and has no epoch")
            slot.epochs.append(epoch)
            slot.seconds += epoch.seconds
            due = due or epoch.number in self._plan.rungs
            limit, late = self._plan.trial_seconds, None
            if epoch.outcome is None and limit is not None and slot.seconds > limit:  # its share of the lane's time
                late = overdue(limit, epoch.kept)
            if epoch.outcome is not None or late is not None:
                due = True
                self._end(place, late)
        return due or time.monotonic() - self._reported >= self._plan.report_seconds or self._to_save()

    def _end(self, place: int, outcome: Outcome | None) -> None:
        """Report the last of a trial, which ended by itself or with an outcome of ours, and free its slot."""
        slot = self.open.pop(place)
        ended = slot.epochs[-1].outcome
        if self._lane is None:
            raise ValueError("a lane is filled before a trial of it ends")
        if self._plan.weights and slot.task.trial.phase == "confirm" and ended is not None and ended.status == "ok":
            content = weights_of(self._lane.kept_at(place), self._own.one(slot.task.trial))
            weights = Saved(id=slot.task.trial.id, epoch=slot.epochs[-1].number, content=content)
            self.reports.append((slot.task.key, Report(weights=weights)))
        self.reports.append((slot.task.key, Report(epochs=tuple(slot.epochs), outcome=outcome)))
        self._lane.release(place)

    def stop(self, keys: Sequence[TrialKey]) -> None:
        """Let trials go that are to end."""
        for place, slot in [*self.open.items()]:
            if slot.task.key in keys and self._lane is not None:
                self._lane.release(place)
                del self.open[place]

    def _to_save(self) -> bool:
        return time.monotonic() - self._saved >= self._plan.checkpoint_seconds

    def told(self, *, sound: bool = True) -> list[tuple[TrialKey, Report]]:
        """Return what there is to tell, with a checkpoint of every trial where it is time for one.

        None where the lane is not `sound`, in the middle of an epoch.
        """
        saving = sound and self._to_save() and self._lane is not None
        for place, slot in self.open.items():
            checkpoint = None
            if saving and self._lane is not None and slot.epochs:
                content = self._lane.checkpoint(place)
                checkpoint = Saved(id=slot.task.trial.id, epoch=slot.epochs[-1].number, content=content)
            if slot.epochs:
                self.reports.append((slot.task.key, Report(epochs=tuple(slot.epochs), checkpoint=checkpoint)))
                slot.epochs = []
        told, self.reports = self.reports, []
        self._reported = time.monotonic()
        self._saved = self._reported if saving else self._saved
        return told

    def fail(self, error: BaseException) -> None:
        """Report that the only trial under way ended by what it raised, with the epochs that it had."""
        (place, slot), *_ = self.open.items()
        del self.open[place]
        self.reports.append((slot.task.key, Report(epochs=tuple(slot.epochs), outcome=failed(error))))

    def keys(self) -> list[TrialKey]:
        """Return the trials under way."""
        return [slot.task.key for slot in self.open.values()]


def _side_by_side(tasks: Sequence[Task], own: OwnSplits, width: int, plan: ReportPlan, exchange: Exchange) -> None:
    slots = _Slots(own, width, plan)
    slots.fill(tasks[:width])
    back = [task.key for task in tasks[width:]]
    due = bool(slots.reports or back)
    while slots.open or due:
        if due:
            answer = exchange(LaneReport(width=width, reports=slots.told(), free=slots.free, back=back))
            back = []
            slots.stop(answer.stopped)
            slots.fill(answer.tasks)
            due = bool(slots.reports)
            continue
        try:
            due = slots.epoch()
        except Interrupted:
            raise
        except BaseException as error:
            if is_fault(error):
                raise
            keys = slots.keys()
            if len(keys) > 1:
                exchange(LaneReport(width=width, reports=slots.told(sound=False), apart=keys))
                return
            slots.fail(error)
            exchange(LaneReport(width=width, reports=slots.told(sound=False)))
            return
