"""Inverse time decay, 1/t, of the learning rate.

Changes: the learning rate.
Formula: 1 / (1 + rate * progress).
Expect: a fast fall at first and a long tail; the schedule of the classical convergence proofs.
Not with: another schedule that decays, they multiply.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class InverseTimeDecay(Regularizer):
    """The factor is 1 / (1 + rate * progress): a half of the start after 1 / rate of the budget.

    Source: H. Robbins, S. Monro, "A Stochastic Approximation Method" (1951) for sums that diverge while
    squares do not; the form is that of N. Srivastava's deepnet, whose half-life is budget / rate steps.
    """

    rate: Number = knob(
        default=10.0,
        legal="[0, 1e6]",
        space=FloatDistribution(1.0, 20.0, log=True),
        neutral=0.0,
        meaning="budget over half-life: the last factor is 1 / (1 + rate)",
    )

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        return 1 / (1 + self.rate * progress)
