"""Pruners that a user might bring along: the median rule with a setting of its own, and one that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from regtune import Pruner
from regtune.core.knobs import knob
from regtune.core.metric import Metric
from regtune.core.records import Epoch
from regtune.pruners import Judge


@dataclass(frozen=True, kw_only=True)
class MedianRule(Pruner):
    """Ends what is below the median of its arm at one epoch."""

    why: ClassVar[str] = "it was below the median of its own arm"

    at: int = knob(default=2, legal="[1, 1000]", meaning="the epoch at which it judges")
    population: int = knob(default=1, legal="[1, 10000]", meaning="trials that must have come by")

    def rungs(self, epochs: int) -> tuple[int, ...]:
        return (self.at,)

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        return _Judge(self)

    def words(self, metric: Metric) -> str:
        return f"those below the median of their arm by validation {metric.words} stopped after {self.at}"


class _Judge:
    def __init__(self, pruner: MedianRule) -> None:
        self._pruner, self._scores = pruner, list[float]()

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        if epoch.number != self._pruner.at or epoch.outcome is not None:
            return False
        self._scores.append(score)
        return len(self._scores) > self._pruner.population and score < median(self._scores)


@dataclass(frozen=True, kw_only=True)
class Nowhere(MedianRule):
    """Judges at no epoch that there is."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        return (0, epochs + 1)
