"""EMA: the weights that are evaluated are a running mean of those that train.

Bends: which weights are evaluated and kept; training goes on as without it.
Formula: mean <- decay mean + (1 - decay) w after each update.
Expect: a smoother validation curve and a small gain, most of it before the learning rate has decayed.
Not with: SWA, use one or the other; a decay whose memory 1 / (1 - decay) is as long as the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution

from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Statistics, Step
from regtune.space import knob
from regtune.state import Number, State, Tensors


@dataclass(frozen=True, kw_only=True)
class EMA(Regularizer):
    """Exponential moving average of weights and of BatchNorm's statistics, from the initial ones on.

    No correction for the start (timm warms its decay up, torchvision adjusts it to the number of updates).
    Source: B. Polyak, A. Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); timm's
    ModelEma.
    """

    decay: Number = knob(
        default=0.99,
        legal="[0, 1)",
        space=FloatDistribution(0.9, 0.999),
        neutral=0.0,
        meaning="share of the mean that stays at each update",
    )

    def begin(self, state: State, data: Splits) -> Tensors:
        """Remember the initial weights and statistics."""
        return _averaged(state)

    def remember(self, state: State, step: Step) -> Tensors:
        """Move the mean towards the weights."""
        new = 1 - torch.as_tensor(self.decay)
        return {n: torch.lerp(step.memory[n], value, new.to(value.dtype)) for n, value in _averaged(state).items()}

    def evaluate(
        self, params: Tensors, buffers: Tensors, statistics: Statistics, step: Step
    ) -> tuple[Tensors, Tensors]:
        """Return the mean."""
        return (
            {name: step.memory[name] for name in params},
            {name: step.memory.get(name, buffer) for name, buffer in buffers.items()},
        )


def _averaged(state: State) -> Tensors:
    """Return all weights and those buffers that have a mean; counters have none."""
    return {n: value for n, value in {**state.params, **state.buffers}.items() if value.is_floating_point()}
