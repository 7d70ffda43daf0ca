"""Elastic net: L1 and L2 together, one strength and a mix.

Changes: the objective.
Formula: J + strength (l1_share sum |w| + (1 - l1_share) / 2 sum w^2).
Expect: between L1 and L2; groups of similar weights stay together where L1 alone would choose one.
Not with: L1 or L2 beside it, which it holds already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number, weights
from regtune.regularizers._base import Forward, Regularizer


@dataclass(frozen=True, kw_only=True)
class ElasticNet(Regularizer):
    """Adds strength * (l1_share * sum |w| + (1 - l1_share) / 2 * sum w^2) to the objective.

    Biases and normalization parameters are not penalized. Source: H. Zou, T. Hastie, "Regularization and Variable
    Selection via the Elastic Net" (JRSS B 2005); the parameters are those of scikit-learn's ElasticNet.
    """

    weighs: ClassVar[bool] = True

    strength: Number = knob(
        default=1e-4,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-6, 1e-3, log=True),
        neutral=0.0,
        meaning="factor of the whole penalty",
    )
    l1_share: Number = knob(
        default=0.5, legal="[0, 1]", space=FloatDistribution(0.0, 1.0), meaning="share of the L1 part"
    )

    def penalty(self, step: Forward) -> Number:
        """Return the price of the weights."""
        parts = weights(step.params, step.spared).values()
        squares, sizes = sum(w.square().sum() for w in parts), sum(w.abs().sum() for w in parts)
        return self.strength * (self.l1_share * sizes + (1 - self.l1_share) / 2 * squares)
