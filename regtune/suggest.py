"""Suggestions for the knobs of an arm: Optuna's samplers, each as a function of the history alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from regtune.records import Status

STARTUP = 5  # random trials before TPE takes over; sweeps have few trials per arm
STATES = {
    "ok": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


def frozen(
    params: Mapping[str, Any], scores: Sequence[float], status: Status | None, space: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Return a trial as Optuna sees it: one score per epoch, no status while it runs."""
    state = TrialState.RUNNING if status is None else STATES[status]
    return create_trial(
        state=state,
        params=dict(params),
        distributions=dict(space),
        value=scores[-1] if state is TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(scores, start=1)),
    )


def suggest(
    space: Mapping[str, BaseDistribution], history: Sequence[FrozenTrial], sampler: str, seed: int
) -> dict[str, Any]:
    """Return values for the knobs of a space: a function of the arguments and nothing else.

    The sampler is made anew for every call, with its arguments spelled out: Optuna 5 changed defaults,
    and a sampler that lives on would remember more than the log does.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study is made for every suggestion, and says so
    if sampler == "random":
        chosen: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        chosen = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, n_ei_candidates=24, multivariate=True, group=False, constant_liar=True, seed=seed
        )
    study = optuna.create_study(direction="maximize", sampler=chosen)
    study.add_trials(history)
    return dict(study.ask(dict(space)).params)
