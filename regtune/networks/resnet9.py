"""A network of nine layers that trains fast."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._layers import ACTIVATIONS, Style, expect_side


@dataclass(frozen=True, kw_only=True)
class Resnet9(Network):
    """Four convolutions, two residual blocks of two convolutions, three poolings, a maximum, a linear layer.

    Slots: `input`; two `residual`; `hidden` between the maximum over pixels and the last layer. Channels are
    width, 2, 4 and 8 times it. The last layer has no biases, and its logits are scaled. How high it gets in
    how few epochs is a matter of the recipe; regtune has not measured it. Source: D. Page, "How to Train Your
    ResNet" (myrtle.ai 2018), whose initial weights are torch's.
    """

    width: int = knob(default=64, legal="[1, 10000]", meaning="channels of the first convolution")
    logit_scale: float = knob(default=0.125, legal="(0, 1000]", meaning="factor of the logits")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="activation")
    batch_norm: bool = knob(default=True, meaning="BatchNorm behind every convolution")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused for pictures that cannot be halved three times."""
        expect_side("resnet9", shape, 8, "take larger pictures, or a resnet")
        return _Resnet9(self, shape, classes)


class _Resnet9(nn.Module):
    def __init__(self, settings: Resnet9, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        style, width = Style(activation=settings.activation, batch_norm=settings.batch_norm), settings.width
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.stem = style.unit(shape[0], width)
        self.stages = nn.ModuleList(
            _Stage(before * width, after * width, style, residual=residual)
            for before, after, residual in ((1, 2, True), (2, 4, False), (4, 8, True))
        )
        self.hidden = Slot("hidden")  # a sum with nothing behind it flows here, so it is not bounded
        self.head = _Head(8 * width, classes, settings.logit_scale)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.stem(self.input(self.normalize(x), bend))
        for stage in self.stages:
            h = stage(h, bend)
        logits: Tensor = self.head(self.hidden(h.amax((2, 3)), bend))
        return logits


class _Head(nn.Linear):
    """A linear layer without biases whose output, the logits, is scaled."""

    def __init__(self, before: int, classes: int, scale: float) -> None:
        super().__init__(before, classes, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class _Stage(nn.Module):
    """Convolution, pooling and, where it has one, a residual block: [N, before, H, W] -> [N, after, H / 2, W / 2]."""

    def __init__(self, before: int, after: int, style: Style, *, residual: bool) -> None:
        super().__init__()
        self.unit = style.unit(before, after)
        self.pool = nn.MaxPool2d(2)
        units = OrderedDict(unit1=style.unit(after, after), unit2=style.unit(after, after)) if residual else None
        self.branch = None if units is None else nn.Sequential(units)
        self.residual = None if units is None else Slot("residual")

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.pool(self.unit(x))
        return h if self.residual is None else h + self.residual(self.branch, bend)(h)
