"""L2-SP: a quadratic penalty on the distance from the initial weights.

Changes: the objective.
Formula: J + strength / 2 * sum (w - w0)^2, w0 the weights before the first step.
Expect: after transfer or pretraining, less of what was learned before is lost; from random initial weights
it keeps the network near its start, as early stopping does.
Not with: L2, which pulls the same weights to zero; strong label noise at the start of transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState, weights
from regtune.data import Splits
from regtune.regularizers._base import Forward, Regularizer


@dataclass(frozen=True, kw_only=True)
class L2SP(Regularizer):
    """Adds strength / 2 * squared distance of the weights from their starting point.

    Biases and normalization parameters are not penalized. The paper gives the layers that are new to the task an
    ordinary L2 beside it; here every weight has its starting point. Source: X. Li, Y. Grandvalet,
    F. Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks" (ICML 2018).
    """

    weighs: ClassVar[bool] = True

    strength: Number = knob(
        default=1e-2,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-4, 0.1, log=True),
        neutral=0.0,
        meaning="factor of half the squared distance",
    )

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember the weights before the first step."""
        return weights(state.params)

    def penalty(self, step: Forward) -> Number:
        """Return the price of the distance."""
        current = weights(step.params, step.spared)
        return self.strength / 2 * sum((w - step.memory[name]).square().sum() for name, w in current.items())
