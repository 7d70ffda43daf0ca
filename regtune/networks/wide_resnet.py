"""Wide residual networks, of any depth 6n + 4 and any widening."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._blocks import PreActivation, block_shapes
from regtune.networks._initializers import INITS, MEANING
from regtune.networks._layers import ACTIVATIONS, Style, blocks_per_stage, expect_side
from regtune.networks._shortcuts import projected

STEM = 16


@dataclass(frozen=True, kw_only=True)
class WideResnet(Network):
    """Three stages of n pre-activation blocks, 16k, 32k and 64k channels: 6n + 4 layers, width k.

    Slots: `input`; `hidden` between the two convolutions of every block, where the paper puts its dropout;
    `residual` around the branch of every block, 3n of both; `features`. Where channels change, the shortcut is a
    convolution of single pixels, and the block activates before the fork. 32 x 32 x 3 and 10 classes:
    36,479,194 parameters at depth 28, width 10. Source: S. Zagoruyko, N. Komodakis, "Wide Residual Networks"
    (BMVC 2016).
    """

    init: str = knob(default="he_fan_out", legal=INITS, meaning=MEANING)
    depth: int = knob(default=16, legal="[10, 10000]", meaning="layers: 6n + 4, as 16, 22, 28, 40")
    width: int = knob(default=4, legal="[1, 1000]", meaning="k: channels are 16k, 32k, 64k")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="activation")
    batch_norm: bool = knob(default=True, meaning="BatchNorm at every convolution")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused for another depth, and for pictures that cannot be halved twice."""
        expect_side("wide_resnet", shape, 4, "take larger pictures, or an mlp")
        return _WideResnet(self, shape, classes, blocks_per_stage("wide_resnet", self.depth, 4))


class _WideResnet(nn.Module):
    def __init__(self, settings: WideResnet, shape: tuple[int, int, int], classes: int, blocks: int) -> None:
        super().__init__()
        style = Style(activation=settings.activation, batch_norm=settings.batch_norm)
        channels = tuple(settings.width * c for c in (16, 32, 64))
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.stem = style.conv(shape[0], STEM)
        self.blocks = nn.ModuleList(
            PreActivation(place, style, projected(place, style), shared=place.before != place.after, hidden=True)
            for place in block_shapes(STEM, channels, blocks)
        )
        self.last = nn.Sequential(style.norm(channels[-1]), style.act())
        self.features = Slot("features")
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.stem(self.input(self.normalize(x), bend))
        for block in self.blocks:
            h = block(h, bend)
        logits: Tensor = self.head(self.features(self.last(h).mean((2, 3)), bend))
        return logits
