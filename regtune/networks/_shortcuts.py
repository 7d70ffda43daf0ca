"""Shortcuts where a residual block changes the shape of what flows."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from regtune.networks._blocks import BlockShape
from regtune.networks._layers import Style

POOLINGS = ("subsample", "average")


class Padded(nn.Module):
    """No parameters: pictures are made smaller, the channels that are missing are zeros behind the others.

    `subsample` takes every second row and column. Source: K. He et al., "Deep Residual Learning for Image
    Recognition" (CVPR 2016), option A. `average` takes means of 2 x 2 pixels. Source: G. Huang et al., "Deep
    Networks with Stochastic Depth" (ECCV 2016).
    """

    def __init__(self, place: BlockShape, pooling: str) -> None:
        super().__init__()
        self.missing, self.stride, self.pooling = place.after - place.before, place.stride, pooling

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, after, H / stride, W / stride] for [N, before, H, W], rounded up."""
        if self.pooling == "subsample":
            small = x[:, :, :: self.stride, :: self.stride]
        else:  # at an odd edge the mean is of the pixels that are there
            small = avg_pool2d(x, self.stride, ceil_mode=True)
        return pad(small, (0, 0, 0, 0, 0, self.missing))


def padded(place: BlockShape, pooling: str) -> nn.Module:
    """Return a shortcut without parameters: the identity where the shape stays."""
    return nn.Identity() if place.before == place.after and place.stride == 1 else Padded(place, pooling)


def projected(place: BlockShape, style: Style) -> nn.Module:
    """Return a shortcut that is a convolution of single pixels where channels change, else the identity."""
    if place.before == place.after and place.stride == 1:
        return nn.Identity()
    return style.conv(place.before, place.after, kernel=1, stride=place.stride, bias=False)
