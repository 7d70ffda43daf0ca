"""What is drawn for each example: operations and signs, and the host's copy of them where it may look."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from regtune.noise import Noise
from regtune.pictures.operations import OPERATIONS


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
    operation = source.below(len(OPERATIONS), "operation", (passes, count))
    return Draws(
        operation=operation.to(noise.device, non_blocking=True),
        negative=noise.bits("sign", (passes, count)) < 0,
        seen=None if host is None else operation,
    )
