"""Residual blocks of two convolutions: activation behind the sum, or in front of the convolutions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from regtune.networks._base import Bend, Slot
from regtune.networks._layers import Style, bounded


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """Where a block stands: channels before and after it, its stride, whether it opens a stage."""

    before: int
    after: int
    stride: int
    opens: bool


def block_shapes(stem: int, stages: tuple[int, ...], blocks: int) -> list[BlockShape]:
    """Return the places of all blocks of stages of these channels; all stages but the first halve pictures."""
    found, before = [], stem
    for stage, after in enumerate(stages):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            found.append(BlockShape(before=before, after=after, stride=stride, opens=block == 0))
            before = after
    return found


class PostActivation(nn.Module):
    """activation(shortcut(x) + branch(x)), the branch conv - norm - activation - conv - norm.

    Source: K. He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016).
    """

    def __init__(self, place: BlockShape, style: Style, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            OrderedDict(
                conv1=style.conv(place.before, place.after, stride=place.stride),
                norm1=style.norm(place.after),
                activation=style.act(),
                conv2=style.conv(place.after, place.after),
                norm2=style.norm(place.after),
            )
        )
        self.residual = Slot("residual")
        self.shortcut = shortcut
        self.activation = style.act()

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        """Return [N, after, H / stride, W / stride] for [N, before, H, W], rounded up."""
        y: Tensor = self.activation(self.shortcut(x) + self.residual(self.branch, bend)(x))
        return y


class PreActivation(nn.Module):
    """shortcut(x) + branch(x), the branch norm - activation - conv - norm - activation - conv.

    With `shared`, the first norm and activation stand before the fork: the shortcut gets what they give, and
    they are no part of the branch, so a block that is left out runs them. With `hidden`, there is a slot of
    that kind in front of the second convolution. Source: K. He et al., "Identity Mappings in Deep Residual
    Networks" (ECCV 2016).
    """

    def __init__(self, place: BlockShape, style: Style, shortcut: nn.Module, *, shared: bool, hidden: bool) -> None:
        super().__init__()
        first = nn.Sequential(OrderedDict(norm=style.norm(place.before), activation=style.act()))
        self.before = first if shared else nn.Identity()
        self.branch = _Branch(place, style, None if shared else first, hidden=hidden)
        self.residual = Slot("residual")
        self.shortcut = shortcut

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        """Return [N, after, H / stride, W / stride] for [N, before, H, W], rounded up."""
        x = self.before(x)
        branch = self.residual(self.branch, bend, run=lambda h: self.branch(h, bend))
        y: Tensor = self.shortcut(x) + branch(x)
        return y


class _Branch(nn.Module):
    def __init__(self, place: BlockShape, style: Style, first: nn.Module | None, *, hidden: bool) -> None:
        super().__init__()
        self.first = nn.Identity() if first is None else first
        self.conv1 = style.conv(place.before, place.after, stride=place.stride)
        self.norm, self.activation = style.norm(place.after), style.act()
        self.hidden = Slot("hidden", bounded=bounded(style.activation), inner=True) if hidden else None
        self.conv2 = style.conv(place.after, place.after)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.activation(self.norm(self.conv1(self.first(x))))
        y: Tensor = self.conv2(h if self.hidden is None else self.hidden(h, bend))
        return y
