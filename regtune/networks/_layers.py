"""What convolutional networks are made of, in one style: activation, with or without BatchNorm."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from regtune.core.errors import Refused
from regtune.networks._activations import ACTIVATIONS


@dataclass(frozen=True, kw_only=True)
class Style:
    """What all parts of one network have in common."""

    activation: str
    batch_norm: bool

    def act(self) -> nn.Module:
        """Return an activation."""
        return ACTIVATIONS[self.activation]()

    def norm(self, channels: int) -> nn.Module:
        """Return the normalization of pictures [N, channels, H, W], or what does nothing."""
        return nn.BatchNorm2d(channels) if self.batch_norm else nn.Identity()

    def conv(self, before: int, after: int, *, kernel: int = 3, stride: int = 1, bias: bool | None = None) -> nn.Conv2d:
        """Return a convolution [N, before, H, W] -> [N, after, ceil(H / stride), ceil(W / stride)].

        It has biases where no BatchNorm follows, which has its own, unless `bias` says otherwise.
        """
        wants = not self.batch_norm if bias is None else bias
        return nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=wants)

    def unit(self, before: int, after: int, *, kernel: int = 3, stride: int = 1, bias: bool | None = None) -> nn.Module:
        """Return convolution, normalization, activation."""
        conv = self.conv(before, after, kernel=kernel, stride=stride, bias=bias)
        return nn.Sequential(OrderedDict(conv=conv, norm=self.norm(after), activation=self.act()))


def expect_side(network: str, shape: tuple[int, int, int], least: int, remedy: str) -> None:
    """Raise Refused for pictures (channels, height, width) with a side below `least`."""
    if min(shape[1:]) < least:
        raise Refused(
            f"network {network}: expected pictures of at least {least} x {least} pixels, "
            f"given {shape[1]} x {shape[2]}; {remedy}"
        )
