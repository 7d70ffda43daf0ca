"""L1: a price on weights that is the same for small and large ones, so many go towards zero."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.regularizers._base import Forward, Regularizer
from regtune.space import knob
from regtune.state import Number, weights


@dataclass(frozen=True, kw_only=True)
class L1(Regularizer):
    """Adds strength * sum of absolute weights to the objective; the subgradient at 0 is 0.

    Biases and normalization parameters are free. By subgradients weights hover around zero but are
    hardly ever exactly zero. Source: I. Goodfellow et al., "Deep Learning" (2016), section 7.1.2.
    """

    strength: Number = knob(
        default=1e-4,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-6, 1e-2, log=True),
        neutral=0.0,
        meaning="factor of the sum of absolute weights",
    )

    def penalty(self, step: Forward) -> Number:
        """Return the price of the weights."""
        return self.strength * sum(w.abs().sum() for w in weights(step.params).values())
