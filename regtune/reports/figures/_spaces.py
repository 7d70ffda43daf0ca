"""The searched spaces of a log's header."""

from __future__ import annotations

from optuna.distributions import BaseDistribution

from regtune.core.distributions import read
from regtune.core.header import ArmRecord


def spaces(arm: ArmRecord) -> dict[str, BaseDistribution]:
    """Return the distribution of each searched knob of an arm of the header, by path."""
    return {path: read(row) for path, row in arm.space.items()}
