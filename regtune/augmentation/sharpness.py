"""Sharpness: away from, or towards, a smoothed picture."""

from __future__ import annotations

from torch import Tensor

from regtune.augmentation.uint8 import cut


def sharpened(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply Sharpness to every picture; its outermost pixels, which lack neighbours, are left alone.

    Smoothed is the mean of 3 x 3 pixels, the middle one counted five times, in whole levels.
    """
    if min(levels.shape[2:]) <= 2:
        return levels
    pixels = levels.float()
    columns = pixels[:, :, :-2] + pixels[:, :, 1:-1] + pixels[:, :, 2:]
    box = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]
    middle = pixels[:, :, 1:-1, 1:-1]
    smooth = ((box + 4 * middle) / 13).round_()
    # One rounding, to float32, as a fused multiply-add has it.
    step = (smooth - middle).double() * strength.view(-1, 1, 1, 1).double()
    result = levels.clone()
    result[:, :, 1:-1, 1:-1] = cut((middle.double() - step).float())
    return result
