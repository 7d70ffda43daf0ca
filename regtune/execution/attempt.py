"""What there is to say of an attempt at a trial, when that is said, and how an attempt ends that was cut short."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regtune.core.own_code import frames_of, place_of
from regtune.core.records import Epoch, Outcome, Trial
from regtune.core.writing import NO_ROOM
from regtune.storage.checkpoints import Saved

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
