"""Networks of a user that end in different ways: with or without a linear layer whose output is the logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from regtune.networks import Bend, Network


@dataclass(frozen=True, kw_only=True)
class Convolutional(Network):
    """Logits are means over pictures: there is no linear layer."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _Convolutional(shape, classes)


class _Convolutional(nn.Module):
    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(shape[0], 4, 3), nn.Conv2d(4, classes, 1)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        logits: Tensor = self.head(self.layer(x).relu()).mean((2, 3))
        return logits


@dataclass(frozen=True, kw_only=True)
class Scaled(Network):
    """The output of the last linear layer is not yet the logits."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _Plain(shape, classes, scale=0.5)


@dataclass(frozen=True, kw_only=True)
class Named(Network):
    """The last linear layer gets its input by name."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _Plain(shape, classes, scale=None)


class _Plain(nn.Module):
    def __init__(self, shape: tuple[int, int, int], classes: int, scale: float | None) -> None:
        super().__init__()
        self.layer, self.out, self.scale = nn.Linear(math.prod(shape), 8), nn.Linear(8, classes), scale

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        logits: Tensor = self.out(input=self.layer(x.flatten(1)).relu())
        return logits if self.scale is None else logits * self.scale


@dataclass(frozen=True, kw_only=True)
class WithAuxiliary(Network):
    """A second head of as many outputs runs after the one that counts, and its answer is dropped."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _WithAuxiliary(shape, classes)


class _WithAuxiliary(nn.Module):
    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(math.prod(shape), 8), nn.Linear(8, classes)
        self.auxiliary = nn.Linear(math.prod(shape), classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        logits: Tensor = self.head(self.layer(x.flatten(1)).relu())
        self.auxiliary(x.flatten(1))
        return logits
