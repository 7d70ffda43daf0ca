"""TPE: paired candidates first, then values near those of the better trials. Source: J. Bergstra et al., "Algorithms
for Hyper-Parameter Optimization" (2011).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from regtune.samplers._base import Question, Sampler
from regtune.samplers._optuna import BAD, ask_optuna, behind_pruned
from regtune.samplers.paired import Paired
from regtune.samplers.random import Random

STARTUP = 5  # trials before TPE takes over; sweeps have few trials per arm
DRAWS = 5  # of TPE for one trial, before it is drawn at random
MOST_DRAWS = 100  # of both, before a point is tried again: by then hardly any is left that was not
MOST_GOOD = 25  # of the trials that Optuna takes for good ones, which are else one in ten


class Tpe(Sampler):
    """Optuna's TPESampler with all arguments set explicitly, since Optuna 5 changed defaults.

    The first trials are those of `Paired`, so that no arm begins with a luckier learning rate than another. It samples
    at random while fewer trials have ended well than Optuna would count as good. A point that was tried is redrawn.
    In an arm with conditional knobs (`group`) it models a knob on the trials that had it, jointly with the knobs of
    the same trials. In other arms it models only knobs that every trial had.
    """

    def sample(self, question: Question) -> dict[str, Any]:
        """Ask a new sampler: one that lives on would remember more than the log does."""
        if question.number < STARTUP:
            return Paired().sample(question)
        history = question.history()
        if question.sampling == 1:
            return _asked(question, history, STARTUP)
        trials = [behind_pruned(trial) for trial in history]
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        well = sum(trial.state in ended and BAD not in trial.user_attrs for trial in history)
        startup = STARTUP if well >= min(math.ceil(0.1 * len(history)), MOST_GOOD) else len(history) + 1
        tried = [trial.params for trial in history]
        found: dict[str, Any] = {}
        for draw in range(MOST_DRAWS):
            next_draw = replace(question, draw=draw)
            found = _asked(next_draw, trials, startup) if draw < DRAWS else Random().sample(next_draw)
            if found not in tried:
                break
        return found


def _asked(question: Question, history: Sequence[FrozenTrial], startup: int) -> dict[str, Any]:
    """Return what Optuna suggests after these trials: at random before so many have ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`: its interface may change
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=24,
            multivariate=True,
            group=bool(question.when),
            constant_liar=True,
            seed=question.seed,
        )
    return ask_optuna(question, sampler, history)
