"""What networks are made of: activations, with or without BatchNorm, and the depths of residual ones."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from regtune.core.errors import Refused


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


def blocks_per_stage(network: str, depth: int, around: int) -> int:
    """Return n of a depth 6n + `around`; raises Refused, naming the depths next to it."""
    blocks, left = divmod(depth - around, 6)
    if left or blocks < 1:
        below, above = 6 * max(blocks, 1) + around, 6 * max(blocks + 1, 1) + around
        near = f"{below} or {above}" if below != above else f"{below}"
        raise Refused(f"network {network}.depth: expected 6n + {around}, given {depth}; take {near}")
    return blocks


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def bounded(activation: str) -> bool:
    """Return whether what comes out of an activation lies in [0, 1], as do its means and maxima."""
    return activation == "sigmoid"
