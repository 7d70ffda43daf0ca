"""Operations that give each level of a picture a new level: a table of 256 entries per picture."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.augmentation.operations import Operation
from regtune.augmentation.uint8 import BOUND, cut, every


def tabled(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply AutoContrast, Solarize, Posterize and Brightness."""
    here, s, each = operation.view(-1, 1, 1), strength.view(-1, 1, 1), every(levels.device)
    table = torch.where(here == Operation.Brightness, each * (1 + s), each)
    table = torch.where(here == Operation.Solarize, solarized(each, s), table)
    table = torch.where(here == Operation.Posterize, posterized(each, s), table)
    low, scale = stretch(levels, here == Operation.AutoContrast)
    return cut((table - low) / scale).gather(2, levels.flatten(2).long()).view_as(levels)


def solarized(each: Tensor, share: Tensor) -> Tensor:
    """Return levels inverted from a share of 255 on."""
    return torch.where(each >= share * BOUND, BOUND - each, each)


def posterized(each: Tensor, bits: Tensor) -> Tensor:
    """Return levels of which only the highest bits (0 to 8, whole) are kept."""
    # Clamped because the strength of another operation may stand here; that entry is not chosen.
    lost = (8 - bits).clamp(0, 8).int()
    return ((each.int() >> lost) << lost).float()


def stretch(levels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return what to subtract and then to divide by, [N, C, 1], to spread a channel over all levels.

    That is 0 and 1, which change no bit, where it is not wanted and where a channel has a single level.
    """
    pixels = levels.flatten(2)
    low, high = pixels.amin(2, keepdim=True).float(), pixels.amax(2, keepdim=True).float()
    spread = wanted & (high > low)
    return torch.where(spread, low, 0.0), torch.where(spread, (high - low) * (1.0 / BOUND), 1.0)


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
