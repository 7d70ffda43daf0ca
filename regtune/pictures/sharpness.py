"""Sharpness: away from, or towards, a smoothed picture."""

from __future__ import annotations

from torch import Tensor


def sharpened(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply Sharpness to every picture; its outermost pixels, which lack neighbours, are left alone.

    Smoothed is the mean of 3 x 3 pixels, the middle one counted five times, in whole levels.
    """
    if min(levels.shape[2:]) <= 2:
        return levels
    columns = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    box = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]
    middle = levels[:, :, 1:-1, 1:-1]
    smooth = ((box + 4 * middle) / 13).round_()
    change = strength.view(-1, 1, 1, 1).double()
    # One rounding, to float32, as a fused multiply-add has it; then cut to whole levels.
    sharp = (middle.double() - (smooth - middle).double() * change).float().clamp(0, 255).floor_()
    result = levels.clone()
    result[:, :, 1:-1, 1:-1] = sharp
    return result
