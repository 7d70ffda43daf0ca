"""The small Inception network that fits random labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._initializers import INITS, MEANING
from regtune.networks._layers import ACTIVATIONS, Style, bounded, expect_side

STEM, LAST = 96, 336  # channels
# Pairs are channels of the 1 x 1 and the 3 x 3 convolution, single numbers those of a halving module.
MODULES = ((32, 32), (32, 48), 80, (112, 48), (96, 64), (80, 80), (48, 96), 96, (176, 160), (176, 160))


@dataclass(frozen=True, kw_only=True)
class SmallInception(Network):
    """A convolution and ten modules of two parallel paths, then a mean over pixels and one linear layer.

    Slots: `input`; `hidden` between mean and last layer. Convolutions have biases beside BatchNorm. Meant for
    pictures of 28 x 28 x 3, which end as 7 x 7; with 10 classes it has 1,649,402 parameters beside those of
    BatchNorm. The initial weights are not in the paper. Source: C. Zhang et al., "Understanding Deep Learning
    Requires Rethinking Generalization" (ICLR 2017), figure 3.
    """

    init: str = knob(default="he", legal=INITS, meaning=MEANING)
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="activation")
    batch_norm: bool = knob(default=True, meaning="BatchNorm behind every convolution")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused for pictures that cannot be halved twice."""
        expect_side("small_inception", shape, 4, "take larger pictures, or an mlp")
        return _SmallInception(self, shape, classes)


class _SmallInception(nn.Module):
    def __init__(self, settings: SmallInception, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        style = Style(activation=settings.activation, batch_norm=settings.batch_norm)
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.stem = style.unit(shape[0], STEM, bias=True)
        self.parts = nn.ModuleList(_modules(style))
        self.hidden = Slot("hidden", bounded=bounded(settings.activation))
        self.head = nn.Linear(LAST, classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.stem(self.input(self.normalize(x), bend))
        for part in self.parts:
            h = part(h)
        logits: Tensor = self.head(self.hidden(h.mean((2, 3)), bend))
        return logits


def _modules(style: Style) -> Iterable[nn.Module]:
    before = STEM
    for channels in MODULES:
        if isinstance(channels, int):
            yield _Halving(before, channels, style)
            before += channels
        else:
            yield _Inception(before, channels, style)
            before = sum(channels)


class _Inception(nn.Module):
    """[N, before, H, W] -> [N, sum(channels), H, W]."""

    def __init__(self, before: int, channels: tuple[int, int], style: Style) -> None:
        super().__init__()
        self.pixel = style.unit(before, channels[0], kernel=1, bias=True)
        self.square = style.unit(before, channels[1], bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.pixel(x), self.square(x)], 1)


class _Halving(nn.Module):
    """[N, before, H, W] -> [N, before + channels, H / 2, W / 2], rounded up."""

    def __init__(self, before: int, channels: int, style: Style) -> None:
        super().__init__()
        self.square = style.unit(before, channels, stride=2, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.square(x), max_pool2d(x, 3, stride=2, padding=1)], 1)
