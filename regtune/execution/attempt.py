"""An attempt at a trial: its epochs in bundles, its checkpoints on the way and the weights it ends with.

The same on a worker of a cluster and in one's own process; who runs it sends the reports to a phase.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from regtune.core.own_code import frames_of, place_of
from regtune.core.records import Epoch, Outcome, Trial
from regtune.core.signals import Interrupted
from regtune.core.writing import NO_ROOM
from regtune.data import Pool, Splits
from regtune.storage.checkpoints import Saved
from regtune.training.trainer import Training

T = TypeVar("T")

# What another attempt may not meet again: memory that a neighbour took, a device that fell over, a full disk.
MACHINE_FAULTS = (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError)


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """When an attempt reports: after the epochs in `rungs`, where the answer decides, and every `report_seconds`.

    A checkpoint goes along every `checkpoint_seconds`; at the end of a confirm trial its weights, where
    `weights` are wanted. After `trial_seconds` the attempt ends as failed.
    """

    rungs: tuple[int, ...]
    report_seconds: float = 1.0
    checkpoint_seconds: float
    trial_seconds: float | None
    weights: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """What there is to tell of an attempt: new epochs, how it ended if its own code raised, bytes to keep."""

    epochs: tuple[Epoch, ...] = ()
    outcome: Outcome | None = None
    checkpoint: Saved | None = None
    weights: Saved | None = None

    @property
    def ends(self) -> bool:
        """Whether the trial has ended."""
        return self.outcome is not None or (bool(self.epochs) and self.epochs[-1].outcome is not None)


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
    begun = reported = saved = time.monotonic()
    bundle: list[Epoch] = []
    try:
        training = _tried(functools.partial(_begun, trial, data, resume))
        while True:
            epoch = _tried(functools.partial(next, training))
            bundle.append(epoch)
            now = time.monotonic()
            if epoch.outcome is not None:
                break
            if plan.trial_seconds is not None and now - begun > plan.trial_seconds:
                yield Report(epochs=tuple(bundle), outcome=overdue(plan.trial_seconds, epoch.kept))
                return
            checkpoint = None
            if now - saved >= plan.checkpoint_seconds:
                checkpoint = Saved(id=trial.id, epoch=epoch.number, content=training.checkpoint())
                saved = time.monotonic()
            if checkpoint or epoch.number in plan.rungs or now - reported >= plan.report_seconds:
                yield Report(epochs=tuple(bundle), checkpoint=checkpoint)
                bundle, reported = [], time.monotonic()
        ended = bundle[-1].outcome
        if plan.weights and trial.phase == "confirm" and ended is not None and ended.status == "ok":
            weights = Saved(id=trial.id, epoch=bundle[-1].number, content=training.weights())
            yield Report(weights=weights)  # by itself: what comes last is held in memory to the end of the phase
    except _RaisedError as raised:
        yield Report(epochs=tuple(bundle), outcome=failed(raised.error))
    else:
        yield Report(epochs=tuple(bundle))


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


def unreadable(trial: Trial, error: Exception) -> str:
    """Return what is said of a checkpoint that another version wrote, or that was damaged."""
    return f"trial {trial.id}: its checkpoint cannot be read ({in_words(error)}); it restarts at its first epoch"


def is_fault(error: BaseException) -> bool:
    """Return whether an error is the machine's rather than the trial's."""
    return isinstance(error, MACHINE_FAULTS) or (isinstance(error, OSError) and error.errno in NO_ROOM)


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a trial whose own code raised: with the place, and a short traceback."""
    place = place_of(error)
    message = f"{in_words(error)} ({place})" if place else in_words(error)
    return Outcome(status="failed", message=message, traceback=frames_of(error))


def overdue(seconds: float, kept: int = 0) -> Outcome:
    """Return the outcome of a trial that took too long."""
    message = f"it ran for longer than its limit of {seconds / 3600:.4g} h (cluster.hours_per_trial)"
    return Outcome(status="failed", message=message, kept=kept)


def in_words(error: BaseException) -> str:
    """Return an error in one line."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return text if str(error) else type(error).__name__
