"""Mean and standard deviation of pictures, by channel."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.data._examples import Examples, pixels

AT_ONCE = 10_000  # more examples are summed in parts: as floats they would take gigabytes
_ROWS = 1024


def channel_statistics(examples: Examples) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [C] (float32, main memory) of the pictures in [0, 1]."""
    if len(examples) <= AT_ONCE:
        images = pixels(examples.images, torch.float32).cpu()
        return images.mean((0, 2, 3)), images.std((0, 2, 3))
    total = square = torch.zeros((), dtype=torch.float64)
    for images in examples.batches(_ROWS):
        values = pixels(images, torch.float64)
        total, square = total + values.sum((0, 2, 3)).cpu(), square + values.square().sum((0, 2, 3)).cpu()
    count = len(examples) * examples.source[0, 0].numel()
    variance = (square - total * total / count) / (count - 1)
    return (total / count).float(), variance.clamp_min(0).sqrt().float()
