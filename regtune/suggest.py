"""Suggestions for the knobs of an arm: Optuna's samplers, each as a function of the history alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from regtune.methods import Condition
from regtune.records import Status

STARTUP = 5  # random trials before TPE takes over; sweeps have few trials per arm
STATES = {
    "ok": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
    "lost": TrialState.FAIL,
}


def frozen(
    params: Mapping[str, Any], scores: Sequence[float], status: Status | None, space: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Return a trial as Optuna sees it: the knobs that it has, one score per epoch, no status while it runs."""
    state = TrialState.RUNNING if status is None else STATES[status]
    return create_trial(
        state=state,
        params=dict(params),
        distributions={path: space[path] for path in params},
        value=scores[-1] if state is TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(scores, start=1)),
    )


def suggest(
    space: Mapping[str, BaseDistribution],
    when: Mapping[str, Condition],
    history: Sequence[FrozenTrial],
    sampler: str,
    seed: int,
) -> dict[str, Any]:
    """Return values for the knobs of a space: a function of the arguments and nothing else.

    A knob that has a condition in `when` gets a value only where the values of the others meet it.
    The sampler is made anew for every call, with its arguments spelled out: Optuna 5 changed defaults,
    and a sampler that lives on would remember more than the log does.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study is made for every suggestion, and says so
    study = optuna.create_study(direction="maximize", sampler=_sampler(sampler, seed, group=bool(when)))
    study.add_trials(history)
    trial = study.ask()
    params: dict[str, Any] = {}
    for path in sorted(space, key=lambda p: p in when):  # choices have no condition, so they come first
        if path not in when or when[path].met(params):
            params[path] = _draw(trial, path, space[path])
    return {path: params[path] for path in space if path in params}


def _sampler(name: str, seed: int, *, group: bool) -> optuna.samplers.BaseSampler:
    """Return a new sampler. With `group` TPE learns of a knob from the trials that had it, jointly with the
    knobs that were in the same trials; without, only of knobs that every trial had.
    """
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`: its interface may change, we spell it out
        return optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, n_ei_candidates=24, multivariate=True, group=group, constant_liar=True, seed=seed
        )


def _draw(trial: optuna.Trial, path: str, space: BaseDistribution) -> Any:
    if isinstance(space, FloatDistribution):
        return trial.suggest_float(path, space.low, space.high, step=space.step, log=space.log)
    if isinstance(space, IntDistribution):
        return trial.suggest_int(path, space.low, space.high, step=space.step, log=space.log)
    if isinstance(space, CategoricalDistribution):
        return trial.suggest_categorical(path, space.choices)
    raise TypeError(f"{path}: expected a float, int or categorical distribution, given {space!r}")
