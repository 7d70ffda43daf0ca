"""Depths of residual networks: three stages of equally many blocks of two layers, and a few layers around."""

from __future__ import annotations

from regtune.core.errors import Refused


def blocks_per_stage(network: str, depth: int, around: int) -> int:
    """Return n of a depth 6n + `around`; raises Refused, naming the depths next to it."""
    blocks, left = divmod(depth - around, 6)
    if left or blocks < 1:
        below, above = 6 * max(blocks, 1) + around, 6 * max(blocks + 1, 1) + around
        near = f"{below} or {above}" if below != above else f"{below}"
        raise Refused(f"network {network}.depth: expected 6n + {around}, given {depth}; take {near}")
    return blocks
