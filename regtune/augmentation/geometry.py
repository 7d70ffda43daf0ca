"""Rotate, ShearX, ShearY, TranslateX and TranslateY: one sampling with a matrix per picture."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from regtune.augmentation.operations import Operation
from regtune.augmentation.uint8 import whole


def transformed(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Move pixels: each takes the level of the nearest one to where it comes from, 0 from outside."""
    height, width = levels.shape[2:]
    x, y = _centred(width, levels.device), _centred(height, levels.device).view(-1, 1)
    matrix = sources(operation, strength, height, width).view(-1, 2, 3, 1, 1)
    places = (x * matrix[:, :, 0] + y * matrix[:, :, 1]).add_(matrix[:, :, 2])
    grid = places.movedim(1, 3)
    return whole(grid_sample(levels.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False))


def sources(operation: Tensor, strength: Tensor, height: int, width: int) -> Tensor:
    """Return matrices [N, 2, 3]: (x, y, 1) of a pixel, in pixels from the middle, to where it comes from.

    That place is in halves of the picture, -1 to 1. Shears keep the upper left corner where it is.
    """
    linear, radians, cos, sin, halves = _parts(height, width, strength.device)
    s = strength.double()
    angle = (s * radians[operation]).view(-1, 1, 1)
    matrix = angle.cos() * cos + angle.sin() * sin + s.view(-1, 1, 1) * linear[operation]
    return matrix.float() / halves


@lru_cache(maxsize=64)
def _parts(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return what a matrix is the sum of, in float64.

    By operation: the matrix [2, 3] that is multiplied by the strength, and radians per unit of strength. For all:
    the matrices that are multiplied by cosine and sine. Last, halves of the picture's sides, float32, [2, 1].
    """
    linear, radians = torch.zeros(len(Operation), 2, 3).double(), torch.zeros(len(Operation)).double()
    linear[Operation.ShearX, 0] = torch.tensor([0, 1, height / 2])
    linear[Operation.ShearY, 1] = torch.tensor([1, 0, width / 2])
    linear[Operation.TranslateX, 0, 2] = linear[Operation.TranslateY, 1, 2] = -1
    radians[Operation.Rotate] = math.pi / 180
    cos, sin = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).double(), torch.tensor([[0.0, -1, 0], [1, 0, 0]]).double()
    halves = torch.tensor([[width / 2], [height / 2]])
    return linear.to(device), radians.to(device), cos.to(device), sin.to(device), halves.to(device)


@lru_cache(maxsize=64)
def _centred(size: int, device: torch.device) -> Tensor:
    """Return the places of pixels along an axis, in pixels from the middle (float32, [size])."""
    return torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
