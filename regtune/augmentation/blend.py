"""Color, Contrast and Sharpness: away from, or towards, the picture's own grey, its mean grey or its blurred self."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.augmentation.operations import Operation
from regtune.augmentation.uint8 import cut


def coloured(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply Color and Contrast; Color leaves a grey picture alone."""
    here, change, pixels = operation.view(-1, 1, 1, 1), strength.view(-1, 1, 1, 1), levels.float()
    if levels.shape[1] == 1:
        mixed = blended(pixels, pixels.mean((2, 3), keepdim=True), change)
        return torch.where(here == Operation.Contrast, mixed, levels)
    own = grey(pixels)
    return blended(pixels, torch.where(here == Operation.Color, own, own.mean((2, 3), keepdim=True)), change)


def grey(pixels: Tensor) -> Tensor:
    """Return the brightness [N, 1, H, W] in whole levels of coloured levels, float32 both.

    Sums of whole numbers below 2**24 are exact, so the result does not depend on how a machine rounds.
    """
    red, green, blue = pixels.unbind(1)
    weighed = red.mul(2989).add_(green, alpha=5870).add_(blue, alpha=1140)
    return weighed.div_(10000).floor_().unsqueeze(1)


def blended(pixels: Tensor, towards: Tensor, change: Tensor) -> Tensor:
    """Return the levels of pixels * (1 + change) - towards * change.

    As torchvision's float32 does with a fused multiply-add: the second product is not rounded before the sum.
    """
    kept = (pixels * (1 + change)).double()
    return cut(kept.sub_(towards.double() * change.double()).float())


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
