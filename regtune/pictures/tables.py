"""Operations of which a pixel's new level depends on its old level only: a table of 256 entries per picture."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from regtune.pictures.operations import Operation


def look_up(levels: Tensor, tables: Tensor) -> Tensor:
    """Return levels [N, C, H, W] replaced by the entries of their tables [N, C, 256]."""
    return tables.gather(2, places(levels)).view_as(levels)


def places(levels: Tensor) -> Tensor:
    """Return levels as indices, int64 [N, C, H * W]; by way of int16, which takes half the time on a CPU."""
    return levels.flatten(2).short().long()


@lru_cache(maxsize=8)
def unchanged(device: torch.device) -> Tensor:
    """Return 0, 1, ..., 255 as float32, [256]: the table that changes nothing. Only ever read."""
    return torch.arange(256, dtype=torch.float32, device=device)


def tabled(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply AutoContrast, Solarize, Posterize and Brightness."""
    here, s, each = operation.view(-1, 1, 1), strength.view(-1, 1, 1), unchanged(levels.device)
    table = torch.where(here == Operation.AutoContrast, stretched(levels), brightened(each, s))
    table = torch.where(here == Operation.Solarize, solarized(each, s), table)
    table = torch.where(here == Operation.Posterize, posterized(each, s), table)
    return look_up(levels, table)


def solarized(each: Tensor, share: Tensor) -> Tensor:
    """Return levels inverted from a share of 255 on."""
    return torch.where(each >= share * 255, 255 - each, each)


def posterized(each: Tensor, bits: Tensor) -> Tensor:
    """Return levels of which only the highest bits (0 to 8, whole) are kept."""
    # Clamped because the strength of another operation may stand here; that entry is not chosen.
    lost = (8 - bits).clamp(0, 8).int()
    return ((each.int() >> lost) << lost).float()


def brightened(each: Tensor, change: Tensor) -> Tensor:
    """Return levels times 1 + change, cut to whole levels."""
    return (each * (1 + change)).clamp(0, 255).floor_()


def stretched(levels: Tensor) -> Tensor:
    """Return tables [N, C, 256] that spread each channel over all levels; one with a single level is left alone."""
    pixels, each = levels.flatten(2), unchanged(levels.device)
    low, high = pixels.amin(2, keepdim=True), pixels.amax(2, keepdim=True)
    flat = high == low
    low = torch.where(flat, 0.0, low)
    scale = torch.where(flat, 1.0, (high - low) * (1.0 / 255))
    return ((each - low) / scale).clamp(0, 255).floor_()
