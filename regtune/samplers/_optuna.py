"""The trials of an arm as Optuna sees them, and an Optuna sampler that is asked about them once."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from regtune.core.records import Outcome, Status
from regtune.samplers._base import Question
from regtune.samplers._unit import value_at

STATES = {
    "ok": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
    "lost": TrialState.FAIL,
}
BAD = "bad"  # the attribute of a trial that ended badly by itself, and is told as the worst
MEMORY = re.compile(r"MemoryError|(out of|low on) memory", re.IGNORECASE)
SOME_TIME = datetime(2000, 1, 1)  # Optuna wants times without a zone, and no sampler looks at them


def frozen(
    number: int,
    params: Mapping[str, Any],
    scores: Sequence[float],
    status: Status | None,
    space: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """Return a trial as Optuna sees it: the knobs that it has, one score per epoch, no status while it runs."""
    state = TrialState.RUNNING if status is None else STATES[status]
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        params=dict(params),
        distributions={path: space[path] for path in params},
        value=scores[-1] if state is TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(scores, start=1)),
        user_attrs={},
        system_attrs={},
        datetime_start=SOME_TIME,
        datetime_complete=None if status is None else SOME_TIME,
    )


def is_bad(outcome: Outcome | None) -> bool:
    """Return whether a trial ended badly by what it was, so that others like it would: not by a fault of the machine.

    Where memory ran out that is said to be the machine's, since a neighbour may have had it; in attempt after attempt
    it is the trial's.
    """
    if outcome is None:
        return False
    ran_out = outcome.status == "lost" and MEMORY.search(outcome.message) is not None
    return ran_out or outcome.status in ("diverged", "failed")


def as_worst(trials: Sequence[FrozenTrial], bad: Container[int]) -> list[FrozenTrial]:
    """Return trials, in which those with `bad` numbers have ended with the worst last score of the others, or 0.

    Told as failed they would not be there for Optuna, and a sampler that learns goes where it knows least.
    """
    scores = [s for trial in trials if trial.number not in bad for s in [*trial.intermediate_values.values()][-1:]]
    worst = min(scores, default=0.0)

    def told(trial: FrozenTrial) -> FrozenTrial:
        ended = frozen(trial.number, trial.params, [worst], "ok", trial.distributions)
        ended.set_user_attr(BAD, True)
        return ended

    return [told(trial) if trial.number in bad else trial for trial in trials]


def behind_pruned(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial for TPE, which ranks whatever is complete before all that was pruned: a bad one comes last."""
    if BAD not in trial.user_attrs:
        return trial
    return frozen(trial.number, trial.params, [], "pruned", trial.distributions)


class _Past(InMemoryStorage):
    """A study's trials, given from outside and read only: Optuna copies whatever is added to its own storages,
    which for 2,000 trials takes ten times as long as the suggestion.
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._trials = trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials, never copies: samplers change none."""
        return [trial for trial in self._trials if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Forget what TPE leaves behind for other processes: it reads it of running trials that have no values yet."""


def ask_optuna(
    question: Question, sampler: optuna.samplers.BaseSampler, history: Sequence[FrozenTrial]
) -> dict[str, Any]:
    """Return what a new Optuna sampler suggests after these trials: the values of `study.ask`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study is made for every suggestion, and says so
    study = optuna.create_study(direction="maximize", sampler=sampler, storage=_Past(history))
    trial = frozen(len(history), {}, [], None, {})
    together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))

    def draw(path: str) -> Any:
        space = question.space[path]
        if space.single():
            return value_at(space, 0.0)
        return together[path] if path in together else sampler.sample_independent(study, trial, path, space)

    return question.answered(draw)
