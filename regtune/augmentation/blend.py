"""Color and Contrast: away from, or towards, the picture's own grey or its mean grey."""

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
