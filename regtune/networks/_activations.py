"""The activations that every network may be built with, by the names that sweep files use."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def bounded(activation: str) -> bool:
    """Return whether what comes out of an activation lies in [0, 1], as do its means and maxima."""
    return activation == "sigmoid"
