"""What an optimizer is: a frozen value that moves the weights of a network by their gradients.

    start(params) -> moments                                                        once, before the first step
    update(params, grads, moments, learning_rate, step, lane) -> (params, moments)  every step

What is given is what is updated: the results are the tensors that came in, so that a step of a large network
allocates nothing. Gradients are read only. Knobs that are floats are 0-dim tensors inside `train`: use torch operations
on them and never branch in Python on their value. All that is remembered from step to step is in the moments, which
checkpoints hold.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors

Moments = dict[str, Tensors]


@dataclass(frozen=True, kw_only=True)
class Optimizer(abc.ABC):
    """The base of the optimizers: frozen values; what they remember lies in the state."""

    learning_rate: Number = knob(default=0.1, legal="(0, 1000]", meaning="step size")

    @abc.abstractmethod
    def start(self, params: Tensors) -> Moments:
        """Return the moments before the first step: by kind, then by whatever names."""

    @abc.abstractmethod
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
        """Update params and moments in place, step number `step` (from 0), and return them.

        `learning_rate` is that of this step, schedules included. `lane` says that this runs under vmap,
        where `step` is a 0-dim int32 tensor.
        """


def like(params: Tensors, number: Number) -> Tensor:
    """Return a number as a 0-dim tensor of the kind that the weights are."""
    first = next(iter(params.values()))
    return torch.as_tensor(number, dtype=first.dtype, device=first.device)


def add_product(target: Tensor, a: Tensor, b: Tensor, *, lane: bool) -> None:
    """Add a * b to the target in place, without room for the product where that can be."""
    if lane:  # vmap has no rule for addcmul_
        target.add_(a * b)
    else:
        target.addcmul_(a, b)
