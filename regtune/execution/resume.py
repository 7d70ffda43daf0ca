"""Where a trial resumes from when it is handed out again, and what weights it left."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.execution.recovery import TrialProgress
from regtune.execution.trained import TrainedRun
from regtune.storage.checkpoints import Checkpoints, Saved


def checkpoint_of(key: TrialKey, progress: TrialProgress, checkpoints: Checkpoints) -> Saved | None:
    """Return the newest checkpoint of a trial, None where it begins at the beginning."""
    try:
        saved = checkpoints.load(key)
    except Refused as error:
        warnings.warn(f"{error}; the trial restarts at its first epoch", stacklevel=3)
        return None
    if saved is None or saved.id != progress.asked.trial.id:
        return None
    if saved.epoch > progress.epochs:  # the log lost rows, as when a machine loses power
        warnings.warn(
            f"{checkpoints.path(key)}: expected at most the {progress.epochs} epochs that the log has, "
            f"given {saved.epoch}; the trial restarts at its first epoch",
            stacklevel=3,
        )
        return None
    return saved


def kept(key: TrialKey, trial: str, weights: Checkpoints) -> Saved | None:
    """Return the weights of a trial, by its id, that a trial key kept; None where there are none that can be read."""
    try:
        saved = weights.load(key)
    except Refused as error:
        warnings.warn(f"{error}; the trial is trained again", stacklevel=3)
        return None
    return saved if saved is not None and saved.id == trial else None


def kept_of(run: TrainedRun, trial: str, weights: Checkpoints) -> Saved | None:
    """Return the weights that a run of a trial kept, here or beside the log that it is of; None as in `kept`."""
    theirs = weights if run.folder is None else dataclasses.replace(weights, folder=Path(run.folder) / "weights")
    return kept(run.key, trial, theirs)


def save(key: TrialKey, checkpoint: Saved, checkpoints: Checkpoints) -> None:
    """Keep a checkpoint; where the disk is full the trial continues, only what it would resume from is older."""
    try:
        checkpoints.save(key, checkpoint)
    except OSError as error:
        warnings.warn(f"{checkpoints.path(key)}: not written: {error.strerror or error}", stacklevel=3)
