"""Early stopping: end when validation stops improving, and go back to the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import IntDistribution

from regtune.records import Epoch
from regtune.regularizers._base import Regularizer
from regtune.space import knob


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Regularizer):
    """Stops after `patience` evaluations in a row that are not strictly better; keeps the best epoch.

    One evaluation per epoch. Equal and non-finite values count as not better. The best epoch is kept
    also where the budget ends first. Source: I. Goodfellow et al., "Deep Learning" (2016), algorithm 7.1.
    """

    patience: int = knob(
        default=5,
        legal="[1, 1000000]",
        space=IntDistribution(2, 8),
        off=math.inf,
        neutral=math.inf,
        meaning="evaluations in a row without improvement before training ends",
    )
    monitor: str = knob(
        default="val_loss", legal=("val_loss", "val_error"), meaning="validation figure that is watched"
    )

    def stop(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether the newest epoch was the last failure that patience allows."""
        return len(epochs) - self._best(epochs) >= self.patience

    def keep(self, epochs: Sequence[Epoch]) -> int:
        """Return the best epoch so far; the newest where patience is off."""
        if math.isinf(self.patience):
            return epochs[-1].number
        return epochs[max(self._best(epochs), 1) - 1].number

    def _best(self, epochs: Sequence[Epoch]) -> int:
        """Return the place (from 1) of the best epoch, 0 where none has a finite figure."""
        best, place = math.inf, 0
        for position, epoch in enumerate(epochs, start=1):
            value = self._figure(epoch)
            if value is not None and value < best:
                best, place = value, position
        return place

    def _figure(self, epoch: Epoch) -> float | None:
        if self.monitor == "val_loss":
            return epoch.val_loss
        return None if epoch.val_accuracy is None else 1 - epoch.val_accuracy
