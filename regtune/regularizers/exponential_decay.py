"""Exponential decay of the learning rate.

Changes: the learning rate.
Formula: last ^ progress.
Expect: a steady decay; most of the budget is spent at small rates if `last` is tiny.
Not with: another schedule that decays, they multiply.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class ExponentialDecay(Regularizer):
    """The learning rate falls by the same factor in equal times: last ** progress.

    Source: I. Goodfellow et al., "Deep Learning" (2016), section 8.3.1; torch's ExponentialLR with
    gamma = last ** (1 / epochs).
    """

    last: Number = knob(
        default=0.01,
        legal="(0, 1]",
        space=FloatDistribution(5e-3, 0.5, log=True),
        neutral=1.0,
        meaning="factor at the end of the budget",
    )

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        return self.last**progress
