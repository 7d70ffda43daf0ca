"""Rotate, ShearX, ShearY, TranslateX and TranslateY: one sampling with a matrix per picture."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from regtune.pictures.operations import Operation


def moved(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Move pixels: each takes the level of the nearest one to where it comes from, 0 from outside."""
    height, width = levels.shape[2:]
    x, y = _centred(width, levels.device), _centred(height, levels.device).view(-1, 1)
    matrix = sources(operation, strength, height, width).view(-1, 2, 3, 1, 1)
    places = (x * matrix[:, :, 0] + y * matrix[:, :, 1]).add_(matrix[:, :, 2])
    return grid_sample(levels, places.movedim(1, 3), mode="nearest", padding_mode="zeros", align_corners=False)


def sources(operation: Tensor, strength: Tensor, height: int, width: int) -> Tensor:
    """Return matrices [N, 2, 3]: (x, y, 1) of a pixel, in pixels from the middle, to where it comes from.

    That place is in halves of the picture, -1 to 1. Shears keep the upper left corner where it is.
    """
    s = strength.double()

    def only(wanted: Operation) -> Tensor:
        return torch.where(operation == wanted, s, 0.0)

    angle = only(Operation.Rotate).deg2rad()
    shear_x, shear_y, cos, sin = only(Operation.ShearX), only(Operation.ShearY), angle.cos(), angle.sin()
    across = (cos, shear_x - sin, shear_x * (height / 2) - only(Operation.TranslateX))
    down = (shear_y + sin, cos, shear_y * (width / 2) - only(Operation.TranslateY))
    rows = [torch.stack(row, 1).float() / (size / 2) for row, size in ((across, width), (down, height))]
    return torch.stack(rows, 1)


@lru_cache(maxsize=64)
def _centred(size: int, device: torch.device) -> Tensor:
    """Return the places of pixels along an axis, in pixels from the middle (float32, [size])."""
    return torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
