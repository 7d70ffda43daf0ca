"""Which trial is the best: one rule for confirm, for tables and for export. Test scores have no say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from regtune.records import Plain, Status


def rank(accuracy: float | None, loss: float | None, number: int) -> tuple[float, float, int]:
    """Return what sorts the best first: validation accuracy, then the lower loss, then the lower number."""
    return -(accuracy or 0.0), math.inf if loss is None or math.isnan(loss) else loss, number


def finishes(pruner: str) -> frozenset[Status]:
    """Return how a search trial ends that confirm may choose; where all are stopped alike, to be is no fault."""
    return frozenset({"ok", "pruned"} if pruner == "epochs" else {"ok"})


def ranked(rows: Iterable[Plain]) -> Sequence[Plain]:
    """Return the rows of `store.Results.trials` in this order."""
    return sorted(rows, key=lambda row: rank(row["val_accuracy"], row["val_loss"], row["number"]))
