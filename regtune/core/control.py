"""Where search may stop a trial, and the share of trials that it never stops, so as to learn what stopping costs."""

from __future__ import annotations

import hashlib
import math

AT_RUNGS = ("asha", "cautious")  # the pruners that judge trials at rungs, and may be told to spare some


def controlled(arm: str, number: int, share: float, repeat: int = 1) -> bool:
    """Return whether the pruner has no say over a trial: by its name alone, so that every replay agrees.

    Trials of another repeat of the sweep have other names.
    """
    whose = arm if repeat == 1 else f"{repeat}/{arm}"
    digest = hashlib.sha256(f"control/{whose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def milestones(epochs: int, grace: float, factor: float) -> tuple[int, ...]:
    """Return ASHA's rungs, in epochs: the first after the grace, each later one `factor` times as far."""
    first, found, k = max(1, math.ceil(grace * epochs)), list[int](), 0
    while (milestone := math.ceil(first * factor**k)) < epochs:
        found.append(milestone)
        k += 1
    return tuple(found)
