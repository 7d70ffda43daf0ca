"""Which trial is the best: one rule for confirm, for tables and for export. Test scores have no say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from regtune.records import Cell, Plain, Status


def rank(accuracy: float | None, loss: float | None, number: int) -> tuple[float, float, int]:
    """Return what sorts the best first: validation accuracy, then the lower loss, then the lower number."""
    return -(accuracy or 0.0), math.inf if loss is None or math.isnan(loss) else loss, number


def finishes(pruner: str) -> frozenset[Status]:
    """Return how a search trial ends that confirm may choose; where all are stopped alike, to be is no fault."""
    return frozenset({"ok", "pruned"} if pruner == "epochs" else {"ok"})


def pruner_of(search: Plain) -> str:
    """Return the pruner of a sweep; logs from before there were names say only whether any trial could end early."""
    return str(search.get("pruner") or ("asha" if search.get("prune", True) else "none"))


def ranked(rows: Iterable[Plain]) -> Sequence[Plain]:
    """Return the rows of `store.Results.trials` in this order."""
    return sorted(rows, key=lambda row: rank(row["val_accuracy"], row["val_loss"], row["number"]))


def choices_of(cells: Mapping[Cell, Plain], sweep: Plain) -> dict[str, Plain]:
    """Return the knobs of each arm's best search trial, those that confirm takes."""
    may = finishes(pruner_of(sweep["search"]))
    choices: dict[str, Plain] = {}
    for entry in ranked(entry for cell, entry in cells.items() if cell.phase == "search" and entry["status"] in may):
        choices.setdefault(entry["arm"], entry["params"])
    return choices


def outdated(cells: Mapping[Cell, Plain], choices: Mapping[str, Plain]) -> list[Cell]:
    """Return the confirmed cells whose configuration is no longer their arm's choice: they are to be asked for again.

    They must not be taken for trials of the new choice, beside which they stand while a sweep is extended.
    """
    confirmed = [(cell, entry) for cell, entry in cells.items() if cell.phase == "confirm" and entry["id"]]
    return [cell for cell, entry in confirmed if entry["params"] != choices.get(cell.arm, entry["params"])]
