"""The share of trials that search never stops, so as to learn what stopping costs."""

from __future__ import annotations

import hashlib


def controlled(arm: str, number: int, share: float, repeat: int = 1) -> bool:
    """Return whether the pruner has no say over a trial: by its name alone, so that every replay agrees.

    Trials of another repeat of the sweep have other names.
    """
    whose = arm if repeat == 1 else f"{repeat}/{arm}"
    digest = hashlib.sha256(f"control/{whose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
