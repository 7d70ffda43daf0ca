"""Optimizers as pure functions: (params, gradients, moments, step) -> (params, moments)."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch

from regtune.space import knob
from regtune.state import Number, Tensors

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
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int
    ) -> tuple[Tensors, Moments]:
        """Return params and moments after step number `step` (from 0) at this learning rate."""


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` without weight decay."""

    momentum: Number = knob(default=0.9, legal="[0, 1)", meaning="share of the last move that stays")
    nesterov: bool = knob(default=False, meaning="look ahead along the momentum")

    def start(self, params: Tensors) -> Moments:
        """Return zero velocities."""
        return {"velocity": {name: torch.zeros_like(p) for name, p in params.items()}}

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int
    ) -> tuple[Tensors, Moments]:
        """Return params and velocities after one step."""
        mu = self.momentum
        velocity = {name: mu * v + grads[name] for name, v in moments["velocity"].items()}
        move = {n: grads[n] + mu * v for n, v in velocity.items()} if self.nesterov else velocity
        return {n: p - learning_rate * move[n] for n, p in params.items()}, {"velocity": velocity}


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
        zeros = {name: torch.zeros_like(p) for name, p in params.items()}
        return {"mean": zeros, "square": dict(zeros)}

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, *, learning_rate: Number, step: int
    ) -> tuple[Tensors, Moments]:
        """Return params and means after one step."""
        b1, b2 = self.beta1, self.beta2
        mean = {n: b1 * m + (1 - b1) * grads[n] for n, m in moments["mean"].items()}
        square = {n: b2 * s + (1 - b2) * grads[n].square() for n, s in moments["square"].items()}
        unbiased1, unbiased2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        moved = {
            n: p * (1 - learning_rate * self.weight_decay)
            - learning_rate * (mean[n] / unbiased1) / ((square[n] / unbiased2).sqrt() + self.eps)
            for n, p in params.items()
        }
        return moved, {"mean": mean, "square": square}


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}
