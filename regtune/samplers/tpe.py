"""TPE: after paired candidates, new values near those of the better trials. Source: J. Bergstra et al., "Algorithms
for Hyper-Parameter Optimization" (2011).
"""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning

from regtune.samplers._base import Question, Sampler
from regtune.samplers._history import ask_optuna
from regtune.samplers.paired import Paired

STARTUP = 5  # trials before TPE takes over; sweeps have few trials per arm


class Tpe(Sampler):
    """Optuna's TPE, its arguments spelled out: Optuna 5 changed defaults.

    The first trials are those of `Paired`, so that no arm begins with a luckier learning rate than another. Where some
    of them failed, Optuna draws at random until as many have ended.
    In an arm with conditions (`group`) it learns of a knob from the trials that had it, jointly with the knobs
    that were in the same trials; in others only of knobs that every trial had.
    """

    def sample(self, question: Question) -> dict[str, Any]:
        """Ask a new sampler: one that lives on would remember more than the log does."""
        if question.number < STARTUP:
            return Paired().sample(question)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`: its interface may change
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP,
                n_ei_candidates=24,
                multivariate=True,
                group=bool(question.when),
                constant_liar=True,
                seed=question.seed,
            )
        return ask_optuna(question, sampler, question.history())
