"""Frames from a log: what a table, a figure or a notebook starts from. Needs no torch and no ray."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from regtune import lease
from regtune.choice import finishes, ranked
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

    `trials` has one row per planned cell: arm, phase, number, status (ok, pruned, diverged, failed, lost,
    running, interrupted, missing, or spared: a race needed it no more), id, seed, params (knob values by path),
    epochs and seconds spent, kept, message, faults of machines on the way, and the metrics of
    `records.Outcome`. `epochs` has one row per
    epoch: arm, phase, number and the fields of `records.Epoch`, whose own number is called `epoch`. `header` is
    the newest header, `chosen` has the knobs that confirm takes of each arm with a choice, `notes` are sentences on
    how the sweep went.
    """

    path: Path
    header: Plain
    trials: pd.DataFrame
    epochs: pd.DataFrame
    plain_trials: dict[Cell, Plain]
    chosen: dict[str, Plain]
    notes: list[str]

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
    cells, plain_trials = _cells(headers[-1]["sweep"]), dict[Cell, Plain]()
    epochs: dict[Cell, list[Plain]] = {}
    alive = lease.ends(rows) > time.time()
    for row in rows:
        if "cell" not in row:
            continue
        cell = Cell(*row["cell"])
        if row["event"] == "asked":
            # A cell of confirm is asked for again where its arm has another choice: the newest counts.
            plain_trials[cell], epochs[cell], cells[cell] = row["trial"], [], _missing(cell)
            seed = row["trial"]["seed"]
            cells[cell] |= {"status": "running" if alive else "interrupted", "id": row["id"], "seed": seed}
            cells[cell] |= {"params": row["params"]}
        elif row["event"] == "started" and cells[cell]["status"] == "lost":  # tried again, with more retries
            cells[cell] |= {"status": "running" if alive else "interrupted", "message": ""}
        _note(cells[cell], row, epochs[cell])
        if row["event"] == "epoch":
            epochs[cell].append({**dict(zip(Cell._fields, cell, strict=True)), **_epoch(row["epoch"])})
    choices = _choices(cells, headers[-1]["sweep"])
    for cell in _outdated(cells, choices):
        cells[cell], epochs[cell] = _missing(cell), []
        del plain_trials[cell]
    if headers[-1]["sweep"]["confirm"].get("racing"):
        from regtune.statistics.entered import spared  # scipy costs time, and few sweeps race

        for cell in spared(cells, headers[-1]["sweep"], choices):
            cells[cell]["status"] = "spared"
    return Results(
        path=log.parent,
        header=headers[-1],
        plain_trials=plain_trials,
        epochs=pd.DataFrame([epoch for mine in epochs.values() for epoch in mine]),
        trials=pd.DataFrame(list(cells.values())),
        chosen=choices,
        notes=_notes(rows, cells),
    )


def _note(entry: Plain, row: Plain, before: list[Plain]) -> None:
    """Enter into the row of a cell what a row of the log says of it; `before` are its earlier epochs."""
    if row["event"] == "epoch":
        epoch = row["epoch"]
        entry["epochs"] = epoch["number"]
        entry["seconds"] += epoch["seconds"]
        if epoch.get("stage", "train") == "train":  # in retraining the validation examples are trained on
            kept = epoch if epoch["kept"] == epoch["number"] else before[epoch["kept"] - 1]
            entry["val_accuracy"], entry["val_loss"] = kept["val_accuracy"], kept["val_loss"]
    elif row["event"] == "fault":
        entry["faults"] += 1
    elif row["event"] == "ended":
        outcome = row["outcome"]
        entry |= {name: outcome[name] for name in ("status", "message", "kept")} | outcome["metrics"]


def _choices(cells: dict[Cell, Plain], sweep: Plain) -> dict[str, Plain]:
    """Return the knobs of each arm's best search trial, those that confirm takes."""
    may = finishes(sweep["search"].get("pruner", "asha"))
    choices: dict[str, Plain] = {}
    for entry in ranked(entry for cell, entry in cells.items() if cell.phase == "search" and entry["status"] in may):
        choices.setdefault(entry["arm"], entry["params"])
    return choices


def _outdated(cells: dict[Cell, Plain], choices: dict[str, Plain]) -> list[Cell]:
    """Return the confirmed cells whose configuration is no longer their arm's choice: they are to be asked for again.

    They must not be taken for trials of the new choice, beside which they stand while a sweep is extended.
    """
    confirmed = [(cell, entry) for cell, entry in cells.items() if cell.phase == "confirm" and entry["id"]]
    return [cell for cell, entry in confirmed if entry["params"] != choices.get(cell.arm, entry["params"])]


def _notes(rows: list[Plain], cells: dict[Cell, Plain]) -> list[str]:
    """Return what a reader of a table must know of how the sweep went, a sentence each."""
    notes = []
    limits = [row["message"] for row in rows if row["event"] == "limit"]
    if limits and any(e["status"] in ("missing", "interrupted") for c, e in cells.items() if c.phase == "search"):
        notes.append(f"Search ended early, since {limits[-1]}: arms may have had unequal budgets.")
    if lost := sum(entry["status"] == "lost" for entry in cells.values()):
        notes.append(f"Lost to faults of machines, and counted as failed: {lost}.")
    if differing := len({tuple(row["cell"]) for row in rows if row["event"] == "differs"}):
        trials = "1 trial" if differing == 1 else f"{differing} trials"
        notes.append(
            f"After an interruption {trials} went on with other bits than before, as on another processor; what is "
            f"reported is from there."
        )
    return notes


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
        "faults": 0,
        **dict.fromkeys(METRICS),
    }


def _epoch(row: Plain) -> Plain:
    """Return an epoch's fields with its number under another name than the cell's."""
    fields = {name: value for name, value in row.items() if name not in ("number", "outcome")}
    return {"epoch": row["number"], **fields}
