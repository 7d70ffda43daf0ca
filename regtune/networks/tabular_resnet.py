"""Residual networks of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from regtune.core.columns import Column
from regtune.core.knobs import knob
from regtune.networks._base import Bend, Normalize, Slot
from regtune.networks._layers import ACTIVATIONS, bounded
from regtune.networks._tables import Embed, TableNetwork


@dataclass(frozen=True, kw_only=True)
class TabularResnet(TableNetwork):
    """A linear layer, blocks x + linear(relu(linear(BN(x)))), then a linear layer on relu(BN(x)).

    Slots: `input` behind the embeddings; in every block `hidden` behind the activation and behind the second linear
    layer, where the paper has its two dropouts, and `residual` around the branch; `features`. Source: Y. Gorishniy,
    I. Rubachev, V. Khrulkov, A. Babenko, "Revisiting Deep Learning Models for Tabular Data" (NeurIPS 2021).
    """

    blocks: int = knob(default=2, legal="[1, 1000]", meaning="residual blocks")
    width: int = knob(default=128, legal="[1, 1000000]", meaning="numbers between blocks")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    factor: float = knob(default=2.0, legal="(0, 100]", meaning="hidden units of a block, over its width")

    def made(self, columns: Sequence[Column], channels: int, classes: int) -> nn.Module:
        """Return the module."""
        return _Resnet(self, columns, channels, classes)


class _Resnet(nn.Module):
    def __init__(self, settings: TabularResnet, columns: Sequence[Column], channels: int, classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.embed = Embed(columns, settings.embedding)
        self.input = Slot("input")
        self.first = nn.Linear(self.embed.size, settings.width)
        inside = max(1, round(settings.factor * settings.width))
        self.blocks = nn.ModuleList(_Block(settings, inside) for _ in range(settings.blocks))
        self.norm = nn.BatchNorm1d(settings.width)
        self.activation = ACTIVATIONS[settings.activation]()
        self.features = Slot("features")
        self.head = nn.Linear(settings.width, classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.first(self.input(self.embed(self.normalize(x)), bend))
        for block in self.blocks:
            h = block(h, bend)
        logits: Tensor = self.head(self.features(self.activation(self.norm(h)), bend))
        return logits


class _Block(nn.Module):
    """h + branch(h), [N, width] -> the same."""

    def __init__(self, settings: TabularResnet, inside: int) -> None:
        super().__init__()
        self.branch = _Branch(settings, inside)
        self.residual = Slot("residual")

    def forward(self, h: Tensor, bend: Bend) -> Tensor:
        y: Tensor = h + self.residual(self.branch, bend, run=lambda x: self.branch(x, bend))(h)
        return y


class _Branch(nn.Module):
    def __init__(self, settings: TabularResnet, inside: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(settings.width)
        self.first, self.activation = nn.Linear(settings.width, inside), ACTIVATIONS[settings.activation]()
        self.hidden1 = Slot("hidden", bounded=bounded(settings.activation), inner=True)
        self.second = nn.Linear(inside, settings.width)
        self.hidden2 = Slot("hidden", inner=True)

    def forward(self, h: Tensor, bend: Bend) -> Tensor:
        h = self.hidden1(self.activation(self.first(self.norm(h))), bend)
        y: Tensor = self.hidden2(self.second(h), bend)
        return y
