"""Equalize: a table per channel that makes its histogram as flat as whole levels allow."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.augmentation.uint8 import BOUND, cut, every


def equalized(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply Equalize to every picture. Exact up to 2**23 pixels a channel: counts are float32."""
    here = levels.flatten(2).long()
    ones = torch.ones((), device=levels.device).expand_as(here)
    counts = torch.zeros_like(here[..., :1], dtype=torch.float32).expand(-1, -1, BOUND + 1).scatter_add(2, here, ones)
    # Pillow's rule. The pixels of the highest level present are left out, or white would take a share of the range.
    brightest = counts.gather(2, here.amax(2, keepdim=True))
    step = ((here.shape[2] - brightest) / BOUND).floor()
    below = counts.cumsum(2) - counts
    table = (below + (step / 2).floor()) / step.clamp_min(1)
    return cut(torch.where(step > 0, table, every(levels.device))).gather(2, here).view_as(levels)
