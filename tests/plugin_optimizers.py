"""Optimizers that a user might bring along: one that is right, one that returns whatever it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regtune import Optimizer
from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors
from regtune.optimizers import Moments


@dataclass(frozen=True, kw_only=True)
class SignDescent(Optimizer):
    """The sign of a running mean."""

    learning_rate: Number = knob(default=0.01, legal="(0, 10]", meaning="step size")
    beta: Number = knob(default=0.9, legal="[0, 1)", meaning="how much of the mean stays")
    push: bool = knob(default=False, meaning="add the gradient once more")

    def start(self, params: Tensors) -> Moments:
        return {"mean": {name: torch.zeros_like(p) for name, p in params.items()}}

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
        for name, mean in moments["mean"].items():
            mean.mul_(self.beta).add_(grads[name] * (1 - self.beta))
            params[name].sub_(torch.sign(mean + grads[name] if self.push else mean) * learning_rate)
        return params, moments


@dataclass(frozen=True, kw_only=True)
class Gives(Optimizer):
    """Does what is wrong, or what may be."""

    what: str = knob(
        default="nothing",
        legal=("nothing", "other_names", "other_moments", "no_start", "weights"),
        meaning="what it does",
    )

    def start(self, params: Tensors) -> Any:
        return {"no_start": 3, "weights": {"first": params}}.get(self.what, {})

    def update(
        self,
        params: Tensors,
        grads: Tensors,
        moments: Moments,
        *,
        learning_rate: Number,
        step: int | Tensor,
        lane: bool = False,
    ) -> Any:
        if self.what == "weights":
            return {name: p - learning_rate * grads[name] for name, p in params.items()}, moments
        return {"other_names": ({}, moments), "other_moments": (params, {"mean": params})}.get(self.what)
