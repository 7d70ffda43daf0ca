"""Where what studies draw comes from: each study has draws of its own, the same every time."""

from __future__ import annotations

from regtune.core.rng import Rng


def noise_of(study: str) -> Rng:
    """Return the random numbers of a study."""
    return Rng(seed=0, prefix=f"{study}/")
