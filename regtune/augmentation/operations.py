"""The fourteen operations that RandAugment and TrivialAugment draw from, in the order of the former's paper."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from regtune.core.rng import Rng


class Operation(IntEnum):
    """What is done to a picture, with the unit of its strength (signed where a sign is drawn).

    The names are torchvision's, and a strength is the number that torchvision calls magnitude.
    """

    Identity = 0  # none
    AutoContrast = 1  # none
    Equalize = 2  # none
    Rotate = 3  # degrees, counter-clockwise
    Solarize = 4  # share of 255 from which on levels are inverted
    Color = 5  # factor - 1
    Posterize = 6  # bits that are kept, 0 to 8
    Contrast = 7  # factor - 1
    Brightness = 8  # factor - 1
    Sharpness = 9  # factor - 1
    ShearX = 10  # pixels to the left per row, from the upper left corner
    ShearY = 11  # pixels upwards per column, from the upper left corner
    TranslateX = 12  # whole pixels to the right
    TranslateY = 13  # whole pixels downwards


OPERATIONS = tuple(operation.name for operation in Operation)
SIGNED = frozenset(Operation) - {
    Operation.Identity,
    Operation.AutoContrast,
    Operation.Equalize,
    Operation.Solarize,
    Operation.Posterize,
}


@dataclass(frozen=True, kw_only=True)
class Draws:
    """`operation` (int64) and `negative` (bool), [passes, N], on the device of the random numbers.

    `seen` is `operation` on the CPU; None in a lane, where the host may not look.
    """

    operation: Tensor
    negative: Tensor
    seen: Tensor | None


def draw_operations(rng: Rng, passes: int, count: int) -> Draws:
    """Return uniform operations, with replacement, and fair signs for every pass and example."""
    host = rng.host()
    source = rng if host is None else host
    drawn = source.below(2 * len(OPERATIONS), "operation", (passes, count))  # one draw: half the hashing
    there = drawn.to(rng.device, non_blocking=True)
    return Draws(operation=there >> 1, negative=(there & 1) == 1, seen=None if host is None else drawn >> 1)
