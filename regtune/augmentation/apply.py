"""Applying drawn operations to a batch: all families to everything, or each family to its own examples.

A family is a few operations that one function computes for a whole batch. In a lane, and on a device whose draws
the host cannot see, every family runs on all examples and a mask chooses. A trial alone knows on the host what was
drawn, sorts the batch by family and runs each on its own part. The bits are the same: functions work on pictures
one by one, and the mask only chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from regtune.augmentation.blend import coloured, sharpened
from regtune.augmentation.geometry import transformed
from regtune.augmentation.lookup import equalized, tabled
from regtune.augmentation.operations import Draws, Operation
from regtune.augmentation.uint8 import BOUND, whole
from regtune.core.errors import Refused

Family = Callable[[Tensor, Tensor, Tensor], Tensor]
FAMILIES: tuple[tuple[Family, frozenset[Operation]], ...] = (
    (
        tabled,
        frozenset({Operation.AutoContrast, Operation.Solarize, Operation.Posterize, Operation.Brightness}),
    ),
    (equalized, frozenset({Operation.Equalize})),
    (
        transformed,
        frozenset({Operation.Rotate, Operation.ShearX, Operation.ShearY, Operation.TranslateX, Operation.TranslateY}),
    ),
    (coloured, frozenset({Operation.Color, Operation.Contrast})),
    (sharpened, frozenset({Operation.Sharpness})),
)


def augmented(x: Tensor, drawn: Draws, strengths: Tensor) -> Tensor:
    """Return pictures [N, C, H, W] in [0, 1] after one drawn operation per pass, at `strengths` [passes, N].

    Levels are whole from the start on: x is rounded to 255ths, and must be in [0, 1].
    """
    levels = whole(x.float().mul(BOUND).round_())
    if drawn.seen is None:
        levels = dense(levels, drawn.operation, strengths)
    else:
        levels = sorted_out(levels, drawn.operation, strengths, drawn.seen)
    return levels.to(x.dtype).div_(BOUND)


def check_channels(images: Tensor) -> None:
    """Raise Refused unless images [N, C, H, W] are grey or coloured."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise Refused(
            f"data: expected pictures of 1 or 3 channels, [N, C, H, W], given {list(images.shape)}; "
            "leave this method out for these data"
        )


def dense(levels: Tensor, operations: Tensor, strengths: Tensor) -> Tensor:
    """Apply every family to all examples and choose."""
    for operation, strength in zip(operations, strengths, strict=True):
        family_of = _families(levels.device)[operation].view(-1, 1, 1, 1)
        for number, (family, _) in enumerate(FAMILIES, start=1):
            levels = torch.where(family_of == number, family(levels, operation, strength), levels)
    return levels


def sorted_out(levels: Tensor, operations: Tensor, strengths: Tensor, seen: Tensor) -> Tensor:
    """Apply each family to its own examples, which `seen` [passes, N] on the CPU tells."""
    device = levels.device
    family_of = _families(seen.device)[seen]
    orders = family_of.argsort(dim=1, stable=True)
    sizes = (family_of.unsqueeze(2) == torch.arange(len(FAMILIES) + 1)).sum(1).tolist()
    numbers = torch.arange(len(levels)).expand_as(orders)
    rows = torch.empty_like(orders).scatter_(1, orders, numbers)  # of an example after a pass
    # A pass leaves the batch sorted by its families, and the next one takes the examples from there.
    moves = [orders[0], *rows[:-1].gather(1, orders[1:]), rows[-1]]
    there = orders.to(device, non_blocking=True)
    for move, operation, strength, size in zip(
        moves, operations.gather(1, there), strengths.gather(1, there), sizes, strict=False
    ):
        levels = levels.index_select(0, move.to(device, non_blocking=True))
        parts = zip(*(torch.split(whole, size) for whole in (levels, operation, strength)), strict=True)
        untouched, *others = parts
        done = [family(*part) for (family, _), part in zip(FAMILIES, others, strict=True) if len(part[0])]
        levels = torch.cat([untouched[0], *done])
    return levels.index_select(0, moves[-1].to(device, non_blocking=True))


@lru_cache(maxsize=8)
def _families(device: torch.device) -> Tensor:
    """Return the number of each operation's family, from 1; 0 is Identity's."""
    numbers = [
        next((n for n, (_, members) in enumerate(FAMILIES, start=1) if operation in members), 0)
        for operation in Operation
    ]
    return torch.tensor(numbers).to(device)
