"""Decoupled weight decay: weights shrink by themselves, beside the gradient step.

Changes: the weights, after each update.
Formula: w <- w (1 - learning rate * strength).
Expect: what L2 gives under plain SGD; under Adam and momentum it is the one that works as meant.
Not with: L2, or an optimizer with a weight decay of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number, TrainState, weights
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class WeightDecay(Regularizer):
    """After each update w <- w (1 - learning rate * strength); neither momentum nor Adam sees it.

    Equal to L2 for plain gradient descent only, up to the learning rate squared. Biases and normalization
    parameters do not decay, unlike in torch's `AdamW(weight_decay=...)`, which also decays before its update
    instead of after it: the two differ by the learning rate squared. Source: I. Loshchilov, F. Hutter,
    "Decoupled Weight Decay Regularization" (ICLR 2019).
    """

    weighs: ClassVar[bool] = True

    strength: Number = knob(
        default=1e-2,
        legal="[0, 1000]",
        space=FloatDistribution(1e-5, 1e-1, log=True),
        neutral=0.0,
        meaning="decay of a weight per unit of learning rate",
    )

    def project(self, state: TrainState, step: Step) -> TrainState:
        """Shrink the weights."""
        factor = 1 - step.learning_rate * self.strength
        shrunk = {name: weight * factor for name, weight in weights(state.params, step.spared).items()}
        return state._replace(params={**state.params, **shrunk})
