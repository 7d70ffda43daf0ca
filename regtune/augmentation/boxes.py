"""Rectangles in pictures, one for each of many, as masks."""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # something vertical and something horizontal, each [N]


def between(first: Pair, end: Pair, size: tuple[int, int]) -> Tensor:
    """Return which pixels lie in rectangles, bool [N, H, W].

    `first` are the first row and column inside, `end` the first ones behind, in pixels.
    """
    rows, columns = (
        (place >= low[:, None]) & (place < high[:, None])
        for low, high, place in zip(first, end, (torch.arange(n, device=first[0].device) for n in size), strict=True)
    )
    return rows[:, :, None] & columns[:, None, :]


def box(*, centre: Pair, half: Pair, size: tuple[int, int]) -> Tensor:
    """Return which pixels lie in boxes around centres, bool [N, H, W]; what sticks out is clipped."""
    first = centre[0] - half[0], centre[1] - half[1]
    return between(first, (centre[0] + half[0], centre[1] + half[1]), size)
