"""The module behind every fully connected network: linear layers with an activation, plain or residual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._layers import ACTIVATIONS, bounded


class Dense(nn.Module):
    """Images [N, C, H, W] -> logits [N, classes], through hidden layers of the given widths.

    `inputs` is how many values the first layer takes, where `flat` makes others than those of an image of this shape.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...],
        activation: str,
        batch_norm: bool,
        residual: bool = False,
        inputs: int | None = None,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        sizes = (inputs or math.prod(shape), *widths)
        self.layers = nn.ModuleList(
            _Layer(before, after, activation, batch_norm, shortcut=residual and before == after and number > 0)
            for number, (before, after) in enumerate(pairwise(sizes))
        )
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.input(self.flat(self.normalize(x)), bend)
        for layer in self.layers:
            h = layer(h, bend)
        logits: Tensor = self.head(h)
        return logits

    def flat(self, x: Tensor) -> Tensor:
        """Return what the first layer takes, [N, inputs] of normalized x [N, C, H, W]; by default all values."""
        return x.flatten(1)


class _Linear(nn.Linear):
    """A linear layer, its normalization if it has one, its activation."""

    def __init__(self, before: int, after: int, activation: str, batch_norm: bool) -> None:
        super().__init__(before, after)
        self.norm = nn.BatchNorm1d(after) if batch_norm else nn.Identity()
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(super().forward(x)))
        return y


class _Layer(nn.Module):
    def __init__(self, before: int, after: int, activation: str, batch_norm: bool, *, shortcut: bool) -> None:
        super().__init__()
        self.linear = _Linear(before, after, activation, batch_norm)
        self.residual = Slot("residual") if shortcut else None
        self.hidden = Slot("hidden", bounded=bounded(activation) and not shortcut)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.linear(x) if self.residual is None else x + self.residual(self.linear, bend)(x)
        bent: Tensor = self.hidden(h, bend)
        return bent


@dataclass(frozen=True, kw_only=True)
class FixedWidths(Network):
    """A fully connected network whose widths are those of a paper."""

    tables: ClassVar[bool] = True

    widths: ClassVar[tuple[int, ...]]

    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    batch_norm: bool = knob(default=False, meaning="BatchNorm in front of every hidden activation")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module."""
        return Dense(
            shape=shape, classes=classes, widths=self.widths, activation=self.activation, batch_norm=self.batch_norm
        )
