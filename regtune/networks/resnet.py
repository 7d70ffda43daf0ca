"""Residual networks for small pictures, of any depth 6n + 2."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._blocks import BlockShape, PostActivation, PreActivation, block_shapes
from regtune.networks._initializers import INITS, MEANING
from regtune.networks._layers import ACTIVATIONS, Style, blocks_per_stage, bounded, expect_side
from regtune.networks._shortcuts import POOLINGS, padded

CHANNELS = (16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class Resnet(Network):
    """Three stages of n residual blocks of two convolutions, 16, 32 and 64 channels: 6n + 2 layers.

    Slots: `input`; `residual` around the branch of every block, 3n of them; `hidden` between the mean over
    pixels and the last layer. Shortcuts have no parameters. `pre_activation` puts normalization and
    activation in front of the convolutions; the first block of a stage then activates before the fork, and
    one more activation follows the last block. 32 x 32 x 3 and 10 classes: 269,722 parameters at depth 20,
    1,727,962 at 110. Source: K. He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016);
    pre-activation is theirs too, "Identity Mappings in Deep Residual Networks" (ECCV 2016).
    """

    init: str = knob(default="he", legal=INITS, meaning=MEANING)
    depth: int = knob(default=20, legal="[8, 10000]", meaning="layers: 6n + 2, as 20, 56, 110, 1202")
    shortcut: str = knob(
        default="subsample", legal=POOLINGS, meaning="how shortcuts shrink; average is stochastic depth's paper"
    )
    pre_activation: bool = knob(default=False, meaning="activate in front of the convolutions, not behind the sum")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="activation")
    batch_norm: bool = knob(default=True, meaning="BatchNorm at every convolution")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused for another depth, and for pictures that cannot be halved twice."""
        expect_side("resnet", shape, 4, "take larger pictures, or an mlp")
        return _Resnet(self, shape, classes, blocks_per_stage("resnet", self.depth, 2))


class _Resnet(nn.Module):
    def __init__(self, settings: Resnet, shape: tuple[int, int, int], classes: int, blocks: int) -> None:
        super().__init__()
        style = Style(activation=settings.activation, batch_norm=settings.batch_norm)
        early = settings.pre_activation
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.stem = (style.conv if early else style.unit)(shape[0], CHANNELS[0])
        self.blocks = nn.ModuleList(
            _block(place, style, settings) for place in block_shapes(CHANNELS[0], CHANNELS, blocks)
        )
        self.last = nn.Sequential(style.norm(CHANNELS[-1]), style.act()) if early else nn.Identity()
        self.hidden = Slot("hidden", bounded=bounded(settings.activation))
        self.head = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.stem(self.input(self.normalize(x), bend))
        for block in self.blocks:
            h = block(h, bend)
        logits: Tensor = self.head(self.hidden(self.last(h).mean((2, 3)), bend))
        return logits


def _block(place: BlockShape, style: Style, settings: Resnet) -> nn.Module:
    shortcut = padded(place, settings.shortcut)
    if settings.pre_activation:
        return PreActivation(place, style, shortcut, shared=place.opens, hidden=False)
    return PostActivation(place, style, shortcut)
