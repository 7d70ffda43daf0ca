"""L2: a quadratic penalty on weights.

Changes: the objective.
Formula: J + strength / 2 * sum w^2; this adds strength * w to the gradient.
Expect: along a direction of curvature lambda, weights shrink by lambda / (lambda + strength).
Not with: Adam, which divides it away (use weight_decay); scale-free layers before BatchNorm, where it only
changes the effective learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number, weights
from regtune.regularizers._base import Forward, Regularizer


@dataclass(frozen=True, kw_only=True)
class L2(Regularizer):
    """Adds strength / 2 * sum of squared weights to the objective (coupled: it enters the momentum).

    Biases and normalization parameters are not penalized, unlike torch's `SGD(weight_decay=...)`, which is
    otherwise equal. Source: I. Goodfellow et al., "Deep Learning" (2016), section 7.1.1.
    """

    weighs: ClassVar[bool] = True

    strength: Number = knob(
        default=1e-3,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-6, 1e-2, log=True),
        neutral=0.0,
        meaning="factor of half the sum of squared weights",
    )

    def penalty(self, step: Forward) -> Number:
        """Return the price of the weights."""
        return self.strength / 2 * sum(w.square().sum() for w in weights(step.params, step.spared).values())
