"""ASHA: at each rung only the best of the trials that reached it continue. Source: L. Li et al., "A System for
Massively Parallel Hyperparameter Tuning" (2020).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import ClassVar

from regtune.core.knobs import knob
from regtune.core.metric import ACCURACY, Metric
from regtune.core.records import Epoch
from regtune.pruners._base import Judge, Pruner, Saving
from regtune.pruners._rungs import percentile


@dataclass(frozen=True, kw_only=True)
class Asha(Pruner):
    """ASHA as Ray's AsyncHyperBandScheduler has it, decision by decision, with a minimum population."""

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
        """Return one that decides as Ray's ASHA."""
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
    """What ASHA says, as Ray has it, once enough trials are on a rung.

    Ray's own goes through all trials of a rung for each that comes; of thousands that is most of a driver's time.
    """

    def __init__(self, pruner: Asha, epochs: int) -> None:
        self._pruner = pruner
        self.epochs_needed = frozenset(pruner.rungs(epochs))
        self._reached: dict[int, int] = dict.fromkeys(pruner.rungs(epochs), 0)
        self._scores: dict[int, list[float]] = {rung: [] for rung in self._reached}  # the lowest first

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """At a rung with enough trials on it, end what is below the cut."""
        return self.cut_if_below(epoch, score) is not None

    def cut_if_below(self, epoch: Epoch, score: float) -> float | None:
        """Take an epoch of a trial; return the cut of its rung where its score is below, and trials may end there."""
        if epoch.number not in self._reached:
            return None
        self._reached[epoch.number] += 1
        if epoch.outcome is not None:
            return None
        scores = self._scores[epoch.number]
        cut = percentile(scores, (1 - 1 / self._pruner.factor) * 100) if scores else score
        bisect.insort(scores, score)
        return cut if score < cut and self._reached[epoch.number] > self._pruner.population else None
