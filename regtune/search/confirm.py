"""Confirm: each arm's best configuration, trained again on fresh seeds that all arms share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from regtune.core.metric import METRICS
from regtune.core.records import Outcome, Trial, TrialKey
from regtune.search.scheduler import PlannedScheduler, Suggestion
from regtune.search.select import SelectScheduler, on_its_split
from regtune.statistics.racing import Beyond, Ended, Race
from regtune.sweep.sweep import Sweep


class ConfirmScheduler(PlannedScheduler):
    """Hands out seed 0 of every arm, then seed 1 of every arm, and so on.

    In a race `planned` grows when all that is planned has ended and the race asks for more. `beyond` gives it the
    variances over searches where it is over those, see `Race.seeds`; all that they depend on has then ended.
    """

    def __init__(self, sweep: Sweep, select: SelectScheduler, beyond: Callable[[Ended], Beyond]) -> None:
        super().__init__()
        self.sweep, self._metric = sweep, METRICS[sweep.confirm.metric]
        self.chosen: Mapping[str, Mapping[str, Any]] = select.chosen()
        self._race, self._beyond = Race.of(sweep.recorded.confirm), beyond
        self._ended: dict[str, dict[int, float | None] | None] = {
            arm.name: {} if arm.name in self.chosen else None for arm in sweep.arms
        }
        self._over: set[TrialKey] = set()
        every = dict.fromkeys(self.chosen, sweep.confirm.seeds)
        self._seeds(self._race.seeds(self._ended, self._beyond(self._ended)) if self._race else every)

    def _seeds(self, seeds: Mapping[str, int]) -> None:
        """Plan so many seeds for each arm, seed by seed, beside what is planned already."""
        self.plan(
            TrialKey(name, "confirm", number)
            for number in range(max(seeds.values(), default=0))
            for name in self.chosen
            if number < seeds[name]
        )

    def at(self, key: TrialKey) -> Suggestion:
        """Return the trial of an arm's choice on a seed."""
        params = self.chosen[key.arm]
        return Suggestion(key, confirm_trial(self.sweep, key.arm, params, key.number), params)

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned, or a race could ask for it."""
        return key.phase == "confirm" and key.arm in self.chosen and key.number < self.sweep.confirm.seeds

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        super().asked_before(asked)
        if self._race:  # an earlier driver may know of a look that is open now: a lost trial in it is tried again
            self.plan([asked.key])

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of a score; nothing but a race needs it."""
        mine = self._ended[key.arm]
        if self._race is None or mine is None:
            return
        value = outcome.metrics.get(self._metric.test) if outcome.status == "ok" else None
        mine[key.number] = None if value is None else self._metric.to_maximize(value)
        self._over.add(key)
        if len(self._over) == len(self.planned):  # a look waits for all its trials
            self._seeds(self._race.seeds(self._ended, self._beyond(self._ended)))


def confirm_trial(sweep: Sweep, arm: str, params: Mapping[str, Any], number: int) -> Trial:
    """Return the trial of a configuration of an arm on the confirm seed of this number."""
    trial = sweep.arm(arm).trial(params, seed=sweep.confirm_seed(number), phase="confirm")
    terms = sweep.confirm
    trial = dataclasses.replace(trial, retrain=terms.retrain, retrain_cap=terms.retrain_cap)
    return on_its_split(sweep, trial)
