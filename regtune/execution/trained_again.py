"""The weights of a confirmed trial that are not kept: it is trained again from its row in the log."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import NamedTuple

from regtune.core.errors import Refused
from regtune.core.records import Epoch, Outcome, Trial, TrialKey
from regtune.data import DataLocation
from regtune.execution.reproduce import changed_numbers, recorded_epochs
from regtune.execution.trial_environment import environment_changes_since
from regtune.results.loader import Results
from regtune.training.build import load_pool, split_data
from regtune.training.process import prepare_process
from regtune.training.trainer import Training


class Again(NamedTuple):
    """The bytes of `Training.weights`, and how the trial ended this time."""

    weights: bytes
    outcome: Outcome


def train_again(results: Results, key: TrialKey, place: DataLocation | None, say: Callable[[str], None]) -> Again:
    """Train a confirmed trial again for its weights: bitwise those of then where nothing has changed since.

    `place` is what the environment says if not given. Warns where any number is not the log's; raises Refused where
    the trial cannot be trained here, or does not end well.
    """
    trial = Trial.from_plain(results.plain_trials[key])
    header, recorded, width = recorded_epochs(results, key)
    say(f"{key}: its weights are not kept; it is trained again from its row in the log, {len(recorded)} epochs")
    prepare_process(trial.threads)
    pool = load_pool(trial, place)
    training, differing = Training(trial, data=split_data(trial, pool), width=width), list[str]()
    last: Epoch | None = None
    for then, now in itertools.zip_longest(recorded, training):
        last = now or last
        differing += changed_numbers(then, now) if then else [f"epoch {now.number}: none then, one now"]
    if last is None or last.outcome is None or last.outcome.status != "ok":
        how = f"{last.outcome.status} {last.outcome.message}" if last and last.outcome else "without an end"
        raise Refused(f"{key}: expected a training that ends ok, as the log has it, given one that ended {how}")
    if differing:
        unlike = "; ".join(environment_changes_since(header, trial, pool))
        why = f"which is no surprise, because {unlike}" if unlike else "although software and processor are the same"
        warnings.warn(
            f"{key}: these are weights of another training than the log's: {len(differing)} numbers differ, {why}; "
            f"the first is {differing[0][:200]}",
            stacklevel=2,
        )
    return Again(training.weights(), last.outcome)
