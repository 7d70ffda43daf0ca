"""SGD: one step against the gradient, with momentum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors
from regtune.optimizers._base import Moments, Optimizer, add_product, like


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` without weight decay."""

    momentum: Number = knob(default=0.9, legal="[0, 1)", meaning="momentum factor")
    nesterov: bool = knob(default=False, meaning="Nesterov momentum")

    def start(self, params: Tensors) -> Moments:
        """Return zero velocities."""
        return {"velocity": {name: torch.zeros_like(p) for name, p in params.items()}}

    def update(
        self,
        params: Tensors,
        grads: Tensors,
        moments: Moments,
        *,
        learning_rate: Number,
        step: int | Tensor,
        lane: bool = False,
    ) -> tuple[Tensors, Moments]:
        """Move params and velocities by one step."""
        down = -like(params, learning_rate)
        for name, velocity in moments["velocity"].items():
            velocity.mul_(self.momentum).add_(grads[name])
            move = grads[name] + self.momentum * velocity if self.nesterov else velocity
            add_product(params[name], move, down, lane=lane)
        return params, moments
