"""The trials of an arm as Optuna sees them, and an Optuna sampler that is asked about them once."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from regtune.records import Status
from regtune.samplers._base import Question
from regtune.samplers._unit import value_at

STATES = {
    "ok": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
    "lost": TrialState.FAIL,
}
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
