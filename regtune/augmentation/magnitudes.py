"""How strong an operation is at a place on the scale: torchvision's numbers, and straight lines between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from regtune.augmentation.operations import OPERATIONS, SIGNED, Operation


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """The strengths at the end of a scale of places 0, 1, ..., `last`.

    `shear` in pixels per pixel; `shift_x` and `shift_y` in pixels; `angle` in degrees; `factor` is how far the
    factor of colour, contrast, brightness and sharpness moves from 1; `bits` are taken away by posterize.
    """

    last: int
    shear: float
    shift_x: float
    shift_y: float
    angle: float
    factor: float
    bits: int


def strengths(ranges: Ranges, operation: Tensor, place: Tensor, negative: Tensor) -> Tensor:
    """Return float32 strengths in the units of `Operation`, of the shape of `operation` (int64).

    `place` (float32, 0 to `ranges.last`, broadcast) may lie between two places; `negative` (bool) turns the sign of
    operations that have one.
    """
    table, signs = _table(ranges, operation.device)
    low = place.floor().clamp(0, ranges.last)
    row = operation * (ranges.last + 1)
    first = table[row + low.long()]
    second = table[row + (low + 1).clamp(max=ranges.last).long()]
    value = torch.where(negative, signs[operation], 1.0) * (first + (place - low) * (second - first))
    value = torch.where(operation == Operation.Posterize, value.round(), value)
    shifted = (operation == Operation.TranslateX) | (operation == Operation.TranslateY)
    return torch.where(shifted, value.trunc(), value)


@lru_cache(maxsize=64)
def _table(ranges: Ranges, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the strengths of all operations at all places, flat, and the factors -1 and 1 of a negative sign.

    `linspace`, and on the CPU, because its last bits decide: 255 * 2 / 3 is a level that solarize inverts or not.
    """
    places = ranges.last + 1
    rows = dict.fromkeys(OPERATIONS, torch.zeros(places))
    for names, end in (
        (("ShearX", "ShearY"), ranges.shear),
        (("TranslateX",), ranges.shift_x),
        (("TranslateY",), ranges.shift_y),
        (("Rotate",), ranges.angle),
        (("Color", "Contrast", "Brightness", "Sharpness"), ranges.factor),
    ):
        rows |= dict.fromkeys(names, torch.linspace(0.0, end, places))
    rows["Solarize"] = torch.linspace(1.0, 0.0, places)
    rows["Posterize"] = 8 - torch.arange(places) / (ranges.last / ranges.bits)
    signs = torch.tensor([-1.0 if operation in SIGNED else 1.0 for operation in Operation])
    return torch.cat([rows[name] for name in OPERATIONS]).to(device), signs.to(device)
