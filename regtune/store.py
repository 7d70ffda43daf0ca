"""Frames from a log: what a table, a figure or a notebook starts from. Needs no torch and no ray."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.errors import Refused
from regtune.log import read_log
from regtune.records import Cell, Plain

METRICS = (
    "val_accuracy",
    "val_loss",
    "train_accuracy",
    "train_loss",
    "test_accuracy",
    "test_loss",
    "test_accuracy_last",
    "test_loss_last",
    "retrain_epochs",
    "target_reached",
)


@dataclass(frozen=True, kw_only=True)
class Results:
    """A log as frames.

    `trials` has one row per planned cell: arm, phase, number, status (ok, pruned, diverged, failed,
    running, missing), id, seed, params (knob values by path), epochs and seconds spent, kept, message,
    and the metrics of `records.Outcome`. `epochs` has one row per epoch: arm, phase, number and the
    fields of `records.Epoch`, whose own number is called `epoch`. `header` is the newest header.
    """

    path: Path
    header: Plain
    trials: pd.DataFrame
    epochs: pd.DataFrame
    plain_trials: dict[Cell, Plain]

    @property
    def sweep(self) -> Plain:
        """The sweep as the header records it."""
        row: Plain = self.header["sweep"]
        return row


def load(path: str | Path) -> Results:
    """Read a results folder or its log; raises Refused where there is none."""
    log = Path(path)
    log = log / "log.jsonl" if log.is_dir() else log
    try:
        rows, torn = read_log(log)
    except OSError as error:
        raise Refused(f"{log}: expected a results folder with a log.jsonl, given {error.strerror or error}") from error
    if torn:
        warnings.warn(f"{log}: the last line was torn off by a crash and is left out", stacklevel=2)
    headers = [row for row in rows if row["event"] == "header"]
    if not headers:
        raise Refused(f"{log}: expected a header, given a log without one; run the sweep again")
    cells, epochs = _cells(headers[-1]["sweep"]), []
    plain_trials: dict[Cell, Plain] = {}
    measured: dict[tuple[Cell, int], Plain] = {}
    for row in rows:
        if row["event"] == "header":
            continue
        cell = Cell(*row["cell"])
        entry = cells.setdefault(cell, _missing(cell))
        if row["event"] == "asked":
            plain_trials[cell] = row["trial"]
            entry |= {"status": "running", "id": row["id"], "seed": row["trial"]["seed"], "params": row["params"]}
        elif row["event"] == "epoch":
            epoch = row["epoch"]
            entry["epochs"] = epoch["number"]
            entry["seconds"] += epoch["seconds"]
            if epoch.get("stage", "train") == "train":  # in retraining the validation examples are trained on
                measured[cell, epoch["number"]] = epoch
                entry |= {name: measured[cell, epoch["kept"]][name] for name in ("val_accuracy", "val_loss")}
            epochs.append({**dict(zip(Cell._fields, cell, strict=True)), **_epoch(epoch)})
        elif row["event"] == "ended":
            outcome = row["outcome"]
            entry |= {name: outcome[name] for name in ("status", "message", "kept")} | outcome["metrics"]
    return Results(
        path=log.parent,
        header=headers[-1],
        plain_trials=plain_trials,
        epochs=pd.DataFrame(epochs),
        trials=pd.DataFrame(list(cells.values())),
    )


def _cells(sweep: Plain) -> dict[Cell, dict[str, Any]]:
    """Return an empty row for every planned cell."""
    planned = [Cell(arm, "search", number) for arm, row in sweep["arms"].items() for number in range(row["trials"])]
    planned += [Cell(arm, "confirm", number) for arm in sweep["arms"] for number in range(sweep["confirm"]["seeds"])]
    return {cell: _missing(cell) for cell in planned}


def _missing(cell: Cell) -> dict[str, Any]:
    return {
        **dict(zip(Cell._fields, cell, strict=True)),
        "status": "missing",
        "id": None,
        "seed": None,
        "params": {},
        "epochs": 0,
        "seconds": 0.0,
        "kept": 0,
        "message": "",
        **dict.fromkeys(METRICS),
    }


def _epoch(row: Plain) -> Plain:
    """Return an epoch's fields with its number under another name than the cell's."""
    fields = {name: value for name, value in row.items() if name not in ("number", "outcome")}
    return {"epoch": row["number"], **fields}
