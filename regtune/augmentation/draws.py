"""What is drawn for each example: operations and signs, and the host's copy of them where it may look."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from regtune.augmentation.operations import OPERATIONS
from regtune.core.rng import Noise


@dataclass(frozen=True, kw_only=True)
class Draws:
    """`operation` (int64) and `negative` (bool), [passes, N], where the noise lives.

    `seen` is `operation` on the CPU; None in a lane, where the host may not look.
    """

    operation: Tensor
    negative: Tensor
    seen: Tensor | None


def draw(noise: Noise, passes: int, count: int) -> Draws:
    """Return uniform operations, with replacement, and fair signs for every pass and example."""
    host = noise.host()
    source = noise if host is None else host
    drawn = source.below(2 * len(OPERATIONS), "operation", (passes, count))  # one draw: half the hashing
    there = drawn.to(noise.device, non_blocking=True)
    return Draws(operation=there >> 1, negative=(there & 1) == 1, seen=None if host is None else drawn >> 1)
