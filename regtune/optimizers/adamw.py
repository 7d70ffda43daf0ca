"""AdamW: an adaptive step for every weight, from running means of gradients and of their squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors
from regtune.optimizers._base import Moments, Optimizer, add_product, like


@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`, but weight_decay is 0 by default.

    Decay acts on every parameter, biases included. Source: I. Loshchilov, F. Hutter, "Decoupled Weight
    Decay Regularization" (ICLR 2019).
    """

    label: ClassVar[str] = "adamw"  # as everybody writes it

    learning_rate: Number = knob(default=1e-3, legal="(0, 1000]", meaning="step size")
    beta1: Number = knob(default=0.9, legal="[0, 1)", meaning="decay of the mean of gradients")
    beta2: Number = knob(default=0.999, legal="[0, 1)", meaning="decay of the mean of squares")
    eps: Number = knob(default=1e-8, legal="(0, 1]", meaning="added to the root of the mean of squares")
    weight_decay: Number = knob(default=0.0, legal="[0, 1000]", meaning="decoupled weight decay")

    def start(self, params: Tensors) -> Moments:
        """Return zero means."""
        return {kind: {name: torch.zeros_like(p) for name, p in params.items()} for kind in ("mean", "square")}

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
        """Move params and means by one step."""
        b1, b2 = self.beta1, self.beta2
        unbiased1, unbiased2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        down = -like(params, learning_rate) / unbiased1
        for name, p in params.items():
            mean, square, grad = moments["mean"][name], moments["square"][name], grads[name]
            mean.mul_(b1).add_(grad * (1 - b1))
            square.mul_(b2).add_(grad.square() * (1 - b2))
            p.mul_(1 - learning_rate * self.weight_decay)
            add_product(p, mean / ((square / unbiased2).sqrt() + self.eps), down, lane=lane)
        return params, moments
