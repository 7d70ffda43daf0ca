"""Fully connected networks of any widths, plain or residual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from regtune.errors import Refused
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.space import knob

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """Linear layers with an activation behind each hidden one, an `input` and `hidden` slots.

    With `residual`, a hidden layer as wide as the one before it becomes h + activation(W h + b), with a
    `residual` slot around its branch. Source: K. He et al., "Deep Residual Learning" (2016) for the
    shortcut.
    """

    widths: tuple[int, ...] = knob(default=(64, 64, 64), legal="[1, 1000000]", meaning="units of each hidden layer")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    residual: bool = knob(default=False, meaning="shortcuts around layers of equal width")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused where no layer can have a shortcut."""
        if self.residual and not any(a == b for a, b in pairwise(self.widths)):
            raise Refused(
                f"network mlp.widths: residual needs two neighbouring layers of equal width, "
                f"given {list(self.widths)}; repeat a width or set residual = false"
            )
        return _MLP(self, shape, classes)


class _MLP(nn.Module):
    def __init__(self, settings: MLP, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        widths = (math.prod(shape), *settings.widths)
        self.layers = nn.ModuleList(
            _Layer(
                before,
                after,
                ACTIVATIONS[settings.activation](),
                shortcut=settings.residual and before == after and number > 0,
            )
            for number, (before, after) in enumerate(pairwise(widths))
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.input(self.normalize(x).flatten(1), bend)
        for layer in self.layers:
            h = layer(h, bend)
        logits: Tensor = self.head(h)
        return logits


class _Dense(nn.Linear):
    """A linear layer with its activation."""

    def __init__(self, before: int, after: int, activation: nn.Module) -> None:
        super().__init__(before, after)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(super().forward(x))
        return y


class _Layer(nn.Module):
    def __init__(self, before: int, after: int, activation: nn.Module, *, shortcut: bool) -> None:
        super().__init__()
        self.linear = _Dense(before, after, activation)
        self.residual = Slot("residual") if shortcut else None
        self.hidden = Slot("hidden", bounded=isinstance(activation, nn.Sigmoid) and not shortcut)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.linear(x) if self.residual is None else x + self.residual(self.linear, bend)(x)
        bent: Tensor = self.hidden(h, bend)
        return bent
