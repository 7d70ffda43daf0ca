"""An attempt at a trial that trains alone, as reports: of the one that a lane of width 1 trains."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from regtune.core.records import Trial
from regtune.core.signals import Interrupted
from regtune.data import Pool, Splits
from regtune.execution.attempt import Report, ReportPlan, is_fault, unreadable
from regtune.execution.reporter import Reporter
from regtune.training.trainer import Training

T = TypeVar("T")


class _RaisedError(Exception):
    """Wraps what code of the user raised, of whatever kind, so that nothing else is taken for it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def attempt(trial: Trial, data: Splits | Pool, plan: ReportPlan, resume: bytes | None = None) -> Iterator[Report]:
    """Train a trial, from a checkpoint if there is one.

    What a user's method raises, also while it is built, is the trial's outcome, KeyboardInterrupt and SystemExit
    included; a fault of the machine is raised, since another attempt may do better, and so is `Interrupted`.
    """
    reporter = Reporter[str](plan)
    reporter.begin(trial.id, trial)
    try:
        training = _tried(functools.partial(_begun, trial, data, resume))
        ended = False
        while not ended:
            epoch = _tried(functools.partial(next, training))
            ended = reporter.epoch(trial.id, epoch, training.weights)
            if reporter.due:
                for _, report in reporter.told(lambda _: training.checkpoint()):
                    yield report
    except _RaisedError as raised:
        reporter.fail(trial.id, raised.error)
        for _, report in reporter.told(None):
            yield report


def _tried(action: Callable[[], T]) -> T:
    """Run what may be the user's code. A StopIteration is an error too: a training that has ended is not pulled."""
    try:
        return action()
    except Interrupted:
        raise
    except BaseException as error:
        if is_fault(error):
            raise
        raise _RaisedError(error) from error


def _begun(trial: Trial, data: Splits | Pool, resume: bytes | None) -> Training:
    """Return a training that resumes from a checkpoint, or begins where another version wrote what is none here."""
    try:
        return Training(trial, data=data, resume=resume)
    except Exception as error:
        if resume is None or is_fault(error):
            raise
        warnings.warn(unreadable(trial, error), stacklevel=2)
        return Training(trial, data=data)
