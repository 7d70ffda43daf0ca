"""Levels: the whole numbers from 0 to 255 that pictures are made of, as uint8."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

BOUND = 255


def whole(values: Tensor) -> Tensor:
    """Return float32 values in [0, 256) cut to levels.

    By way of int16: on a CPU the direct way is five times slower.
    """
    return values.short().byte()


def cut(values: Tensor) -> Tensor:
    """Return any float32 values as levels: what is outside goes to the bound, fractions are dropped."""
    return whole(values.clamp(0, BOUND))


@lru_cache(maxsize=8)
def every(device: torch.device) -> Tensor:
    """Return all levels as float32, [256]. Only ever read."""
    return torch.arange(BOUND + 1, dtype=torch.float32, device=device)
