"""Equalize: a table per channel that makes its histogram as flat as whole levels allow."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.pictures.tables import places, unchanged


def equalized(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply Equalize to every picture. Exact up to 2**23 pixels a channel: counts are float32."""
    pixels = levels.flatten(2)
    here = places(levels)
    counts = levels.new_zeros(*pixels.shape[:2], 256).scatter_add(2, here, torch.ones_like(pixels))
    # Pillow's rule. The pixels of the highest level present are left out, or white would take a share of the range.
    brightest = counts.gather(2, here.amax(2, keepdim=True))
    step = ((pixels.shape[2] - brightest) / 255).floor()
    below = counts.cumsum(2) - counts
    table = ((below + (step / 2).floor()) / step.clamp_min(1)).floor_().clamp(0, 255)
    return torch.where(step > 0, table, unchanged(levels.device)).gather(2, here).view_as(levels)
