"""A few epochs for all: every search trial ends after as many, and the choice is made there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regtune.core.knobs import knob
from regtune.core.metric import Metric
from regtune.core.records import Epoch, Status
from regtune.pruners._base import Judge, Pruner


@dataclass(frozen=True, kw_only=True)
class FixedEpochs(Pruner):
    """Every trial is stopped after the same few epochs, good or bad. Source: R. Egele et al., "The Unreasonable
    Effectiveness Of Early Discarding After One Epoch In Neural Network Hyperparameter Optimization" (2023).
    """

    label: ClassVar[str] = "epochs"
    why: ClassVar[str] = "every search trial is stopped, good or bad"
    at_rungs: ClassVar[bool] = False
    finishes: ClassVar[frozenset[Status]] = frozenset({"ok", "pruned"})
    independent: ClassVar[bool] = True
    stops: ClassVar[str] = "every search trial stops after epoch"

    stop_after: int = knob(default=1, legal="[1, 1000000]", meaning="epochs that every search trial gets")

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """There is one, for all."""
        return (self.stop_after,)

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return one that counts epochs."""
        return _Judge(self.stop_after)

    def most_epochs(self, epochs: int) -> int:
        """Return how many epochs a search trial takes."""
        return self.stop_after

    def words(self, metric: Metric) -> str:
        """Say after how many epochs the trials were stopped."""
        return f"every trial is stopped after epoch {self.stop_after} and judged there"


class _Judge:
    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Say whether the epochs are up."""
        return epoch.outcome is None and epoch.number >= self._epochs
