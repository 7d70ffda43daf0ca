"""Linear decay of the learning rate.

Changes: the learning rate.
Formula: 1 - progress (1 - last).
Expect: as good as cosine in most short trainings.
Not with: another schedule that decays, they multiply.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class LinearDecay(Regularizer):
    """The learning rate falls along a straight line from 1 to `last`.

    Source: I. Goodfellow et al., "Deep Learning" (2016), equation 8.14, with tau the whole budget.
    """

    last: Number = knob(
        default=0.01,
        legal="[0, 1]",
        space=FloatDistribution(0.0, 0.5),
        neutral=1.0,
        meaning="factor at the end of the budget",
    )

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        return 1 - progress * (1 - self.last)
