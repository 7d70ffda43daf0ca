"""ASHA: at each rung only the best of the trials that reached it continue. Source: L. Li et al., "A System for
Massively Parallel Hyperparameter Tuning" (2020).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from regtune.core.knobs import knob
from regtune.core.metric import ACCURACY, Metric
from regtune.core.records import Epoch
from regtune.pruners._base import Judge, Pruner, Saving

if TYPE_CHECKING:
    from ray.tune.schedulers import AsyncHyperBandScheduler


@dataclass(frozen=True, kw_only=True)
class Asha(Pruner):
    """Ray's own AsyncHyperBandScheduler, with a minimum population."""

    why: ClassVar[str] = "it was not among the best of its own arm"

    grace: float = knob(default=0.2, legal="[0.2, 1]", meaning="share of the epochs before the first rung")
    factor: float = knob(
        default=3.0, legal="[1.1, 100]", meaning="ratio between rungs; at a rung, one trial in so many continues"
    )
    population: int = knob(
        default=3, legal="[1, 10000]", meaning="trials that must have reached a rung before one is pruned there"
    )

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return ASHA's rungs: the first after the grace, each later one `factor` times as far."""
        first, found, k = self.first(epochs), list[int](), 0
        while (milestone := math.ceil(first * self.factor**k)) < epochs:
            found.append(milestone)
            k += 1
        return tuple(found)

    def first(self, epochs: int) -> int:
        """Return the epochs before the first rung."""
        return max(1, math.ceil(self.grace * epochs))

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return one that asks Ray's ASHA."""
        return AshaJudge(self, epochs)

    def words(self, metric: Metric) -> str:
        """Say against whom trials were pruned."""
        by = "" if metric == ACCURACY else f" by validation {metric.words}, {metric.better} is better"
        return f"each arm pruned against its own trials only{by}"

    def saving(self, epochs: int) -> Saving:
        """Return what is expected where of those that pass a rung one in `factor` continues."""
        share, before, each = 1.0, 0, 0.0
        for place in (*self.rungs(epochs), epochs):
            each += share * (place - before)
            share, before = share / self.factor, place
        return Saving(self.population, each, f"{self.population} trials must reach a rung")


class AshaJudge:
    """What Ray's ASHA says, once enough trials are on a rung."""

    def __init__(self, pruner: Asha, epochs: int) -> None:
        self._pruner, self._epochs = pruner, epochs
        self._reached: Counter[int] = Counter()
        self._rungs = frozenset((*pruner.rungs(epochs), epochs))

    @cached_property
    def _asha(self) -> AsyncHyperBandScheduler:
        """The scheduler, made when a trial comes: Ray takes seconds to import, and rungs are known without it."""
        from ray.tune.schedulers import AsyncHyperBandScheduler

        return AsyncHyperBandScheduler(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=self._epochs,
            grace_period=self._pruner.first(self._epochs),
            reduction_factor=self._pruner.factor,
            stop_last_trials=False,
        )

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """At a rung with enough trials on it, let Ray's ASHA decide."""
        self._reached[epoch.number] += 1
        if epoch.outcome is not None:
            return False
        handle: Any = _Handle(str(number))
        if epoch.number == 1:
            self._asha.on_trial_add(None, handle)  # ASHA uses no controller, and of the trial its id
        if epoch.number not in self._rungs:
            return False
        action = self._asha.on_trial_result(None, handle, {"epoch": epoch.number, "score": score})
        return bool(action == self._asha.STOP and self._reached[epoch.number] > self._pruner.population)


@dataclass(frozen=True)
class _Handle:
    """The only thing that ASHA asks of a trial."""

    trial_id: str
