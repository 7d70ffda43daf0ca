"""What changes while a network trains: one tree of tensors, the same for one trial and for a lane."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Number = float | Tensor  # a knob: a float in files and specs, a float32 0-dim tensor inside `train`


class State(NamedTuple):
    """`params` and `buffers` of the network by name, `moments` of the optimizer by kind and name, and
    `memory`: what each method of the recipe remembers, by site and name.
    """

    params: Tensors
    buffers: Tensors
    moments: dict[str, Tensors]
    memory: dict[str, Tensors]


def weights(params: Tensors) -> Tensors:
    """Return the weights proper: no biases and no scales or shifts of normalization layers."""
    return {name: value for name, value in params.items() if value.ndim > 1}


def length(values: Tensors) -> Tensor:
    """Return the Euclidean length of all values together, never quite 0."""
    return torch.stack([value.square().sum() for value in values.values()]).sum().sqrt().clamp_min(1e-30)
