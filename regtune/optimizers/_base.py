"""Optimizers as functions: (params, gradients, moments, step) -> (params, moments).

What is given is what is updated: the results are the tensors that came in, so that a step of a large
network allocates nothing. Gradients are read only.
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
        """Return the moments before the first step."""

    @abc.abstractmethod
    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int, lane: bool = False
    ) -> tuple[Tensors, Moments]:
        """Update params and moments in place, step number `step` (from 0), and return them.

        `lane` says that this runs under vmap.
        """


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` without weight decay."""

    momentum: Number = knob(default=0.9, legal="[0, 1)", meaning="share of the last move that stays")
    nesterov: bool = knob(default=False, meaning="look ahead along the momentum")

    def start(self, params: Tensors) -> Moments:
        """Return zero velocities."""
        return {"velocity": {name: torch.zeros_like(p) for name, p in params.items()}}

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int, lane: bool = False
    ) -> tuple[Tensors, Moments]:
        """Move params and velocities by one step."""
        down = -_like(params, learning_rate)
        for name, velocity in moments["velocity"].items():
            velocity.mul_(self.momentum).add_(grads[name])
            move = grads[name] + self.momentum * velocity if self.nesterov else velocity
            _add_product(params[name], move, down, lane=lane)
        return params, moments


@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay, as `torch.optim.AdamW` but with no decay unless asked.

    Decay acts on every parameter, biases included. Source: I. Loshchilov, F. Hutter, "Decoupled Weight
    Decay Regularization" (ICLR 2019).
    """

    learning_rate: Number = knob(default=1e-3, legal="(0, 1000]", meaning="step size")
    beta1: Number = knob(default=0.9, legal="[0, 1)", meaning="decay of the mean of gradients")
    beta2: Number = knob(default=0.999, legal="[0, 1)", meaning="decay of the mean of squares")
    eps: Number = knob(default=1e-8, legal="(0, 1]", meaning="added to the root of the mean of squares")
    weight_decay: Number = knob(default=0.0, legal="[0, 1000]", meaning="decoupled weight decay")

    def start(self, params: Tensors) -> Moments:
        """Return zero means."""
        return {kind: {name: torch.zeros_like(p) for name, p in params.items()} for kind in ("mean", "square")}

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int, lane: bool = False
    ) -> tuple[Tensors, Moments]:
        """Move params and means by one step."""
        b1, b2 = self.beta1, self.beta2
        unbiased1, unbiased2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        down = -_like(params, learning_rate) / unbiased1
        for name, p in params.items():
            mean, square, grad = moments["mean"][name], moments["square"][name], grads[name]
            mean.mul_(b1).add_(grad * (1 - b1))
            square.mul_(b2).add_(grad.square() * (1 - b2))
            p.mul_(1 - learning_rate * self.weight_decay)
            _add_product(p, mean / ((square / unbiased2).sqrt() + self.eps), down, lane=lane)
        return params, moments


def _like(params: Tensors, number: Number) -> Tensor:
    """Return a number as a 0-dim tensor of the kind that the weights are."""
    first = next(iter(params.values()))
    return torch.as_tensor(number, dtype=first.dtype, device=first.device)


def _add_product(target: Tensor, a: Tensor, b: Tensor, *, lane: bool) -> None:
    """Add a * b to the target in place, without room for the product where that can be."""
    if lane:  # vmap has no rule for addcmul_
        target.add_(a * b)
    else:
        target.addcmul_(a, b)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}
