"""A small plain convolutional network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._initializers import INITS, MEANING
from regtune.networks._layers import ACTIVATIONS, Style, bounded, expect_side


@dataclass(frozen=True, kw_only=True)
class Convnet(Network):
    """Stages of 3 x 3 convolution, BatchNorm, activation and 2 x 2 max-pooling; a mean over pixels; a head.

    Slots: `input`; `hidden` behind the pooling of every stage, on pictures, and one more in front of the
    head. Source: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998) for
    the architecture; its parts are modern ones.
    """

    init: str = knob(default="he", legal=INITS, meaning=MEANING)
    channels: tuple[int, ...] = knob(default=(32, 64), legal="[1, 100000]", meaning="channels of each stage")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="activation")
    batch_norm: bool = knob(default=True, meaning="BatchNorm behind every convolution")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused where the pooling leaves nothing."""
        if not self.channels:
            raise Refused("network convnet.channels: expected at least one stage, given []; take [32] or an mlp")
        expect_side("convnet", shape, 2 ** len(self.channels), "give channels for fewer stages")
        return _Convnet(self, shape, classes)


class _Convnet(nn.Module):
    def __init__(self, settings: Convnet, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        style = Style(activation=settings.activation, batch_norm=settings.batch_norm)
        within = bounded(settings.activation)
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.stages = nn.ModuleList(
            style.unit(before, after) for before, after in pairwise((shape[0], *settings.channels))
        )
        self.pictures = nn.ModuleList(Slot("hidden", bounded=within) for _ in settings.channels)
        self.hidden = Slot("hidden", bounded=within)
        self.head = nn.Linear(settings.channels[-1], classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.input(self.normalize(x), bend)
        for stage, slot in zip(self.stages, self.pictures, strict=True):
            h = slot(max_pool2d(stage(h), 2), bend)
        logits: Tensor = self.head(self.hidden(h.mean((2, 3)), bend))
        return logits
