"""Early stopping: stop when validation stops improving, and restore the best epoch.

Changes: how long training lasts, and which epoch's weights count.
Formula: every `every` epochs (n of algorithm 7.1) compare the validation figure with the best so far; after
`patience` evaluations in a row (p) that are not strictly better, stop; the best weights are restored.
Expect: most of what an L2 penalty gives, for less time; the 0-1 error often improves long after the loss
has begun to worsen, so the two monitors stop at different times.
Not with: schedules that save their gain for the end; a small or noisy validation split with little patience.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import IntDistribution

from regtune.core.knobs import knob
from regtune.core.records import Epoch
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Regularizer):
    """Stops after `patience` evaluations in a row that are not strictly better; keeps the best one.

    Equal and non-finite values count as not better. The best epoch is restored also where the budget ends first.
    torch's ReduceLROnPlateau waits for one evaluation more, and Keras goes back to the best weights only
    when asked. Source: I. Goodfellow et al., "Deep Learning" (2016), algorithm 7.1.
    """

    patience: int = knob(
        default=5,
        legal="[1, 1000000]",
        space=IntDistribution(2, 8),
        stretch=(30, "every"),
        off=math.inf,
        neutral=math.inf,
        meaning="evaluations in a row without improvement before training ends",
    )
    monitor: str = knob(
        default="val_loss", legal=("val_loss", "val_error"), meaning="validation figure that is watched"
    )
    every: int = knob(default=1, legal="[1, 1000000]", meaning="epochs from one evaluation to the next")

    def stop(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether the newest epoch was the last failure that patience allows."""
        evaluated = self._evaluated(epochs)
        return len(evaluated) - self._best(evaluated) >= self.patience

    def keep(self, epochs: Sequence[Epoch]) -> int:
        """Return the best epoch so far; the newest where patience is off or nothing is evaluated yet."""
        evaluated = self._evaluated(epochs)
        if math.isinf(self.patience) or not evaluated:
            return epochs[-1].number
        return evaluated[max(self._best(evaluated), 1) - 1].number

    def _evaluated(self, epochs: Sequence[Epoch]) -> Sequence[Epoch]:
        return [epoch for epoch in epochs if epoch.number % self.every == 0]

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
