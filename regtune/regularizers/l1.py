"""L1: a penalty on absolute weights, so that many go to zero.

Changes: the objective (subgradient), or the weights after each update (proximal).
Formula: J + strength * sum |w|; proximal: w <- sign(w) max(|w| - learning rate * strength, 0).
Expect: sparse weights. By subgradients they hover around zero, by proximal steps they are exactly zero.
Not with: Adam where the proximal form is meant as a penalty, it does not see Adam's scaling; elastic net,
which holds an L1 part already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, TrainState, weights
from regtune.regularizers._base import Forward, Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class L1(Regularizer):
    """Adds strength * sum of absolute weights to the objective; the subgradient at 0 is 0.

    Biases and normalization parameters are not penalized. With `start` > 0 there is a penalty only towards the
    end of training; for L2 beside it give an arm both. Source: I. Goodfellow et al., "Deep Learning" (2016), section
    7.1.2; the proximal step is ISTA's: A. Beck, M. Teboulle (2009).
    """

    weighs: ClassVar[bool] = True

    strength: Number = knob(
        default=1e-4,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-7, 1e-3, log=True),
        neutral=0.0,
        meaning="factor of the sum of absolute weights",
    )
    start: Number = knob(default=0.0, legal="[0, 1]", meaning="share of the budget that is over when it begins")
    method: str = knob(
        default="subgradient",
        legal=("subgradient", "proximal"),
        meaning="subgradients or proximal steps",
    )

    def penalty(self, step: Forward) -> Number:
        """Return the price of the weights; 0 for the proximal form."""
        if self.method == "proximal":
            return 0.0
        return self._now(step) * sum(w.abs().sum() for w in weights(step.params, step.spared).values())

    def project(self, state: TrainState, step: Step) -> TrainState:
        """Move the weights towards zero; those that would pass it stay there. Only the proximal form."""
        if self.method == "subgradient":
            return state
        reach = step.learning_rate * self._now(step)
        pulled = {n: w.sign() * (w.abs() - reach).clamp_min(0.0) for n, w in weights(state.params, step.spared).items()}
        return state._replace(params={**state.params, **pulled})

    def _now(self, step: Step) -> Tensor:
        return torch.where(torch.as_tensor(self.start) <= step.progress, torch.as_tensor(self.strength), 0.0)
