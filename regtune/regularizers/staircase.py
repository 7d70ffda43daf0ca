"""Staircase: the learning rate drops by a factor at a few points of the budget.

Changes: the learning rate.
Formula: factor ^ (number of milestones that are past).
Expect: training loss and validation error fall at each drop; a large first rate with drops generalizes
better than a small rate from the start.
Not with: another schedule that decays, they multiply.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class Staircase(Regularizer):
    """Multiplies the learning rate by `factor` from each milestone on; milestones are shares of the budget.

    (0.5, 0.75) of 64,000 updates are the drops at 32,000 and 48,000 of the ResNet paper; torch's MultiStepLR
    has milestones in epochs and calls the factor gamma. Source: K. He et al., "Deep Residual Learning for
    Image Recognition" (CVPR 2016).
    """

    factor: Number = knob(
        default=0.1,
        legal="(0, 1]",
        space=FloatDistribution(0.05, 0.5, log=True),
        neutral=1.0,
        meaning="what the rate is multiplied by at each milestone",
    )
    milestones: tuple[float, ...] = knob(
        default=(0.5, 0.75), legal="(0, 1)", meaning="shares of the budget at which the rate drops"
    )

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)
