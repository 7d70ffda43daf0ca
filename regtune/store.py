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
from regtune.epochs import EpochTable
from regtune.errors import Refused
from regtune.log import Reading
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
    running, interrupted, missing), id, seed, params (knob values by path), epochs and seconds spent, kept,
    message, faults of machines on the way, and the metrics of `records.Outcome`. `epochs` has one row per
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
    story = _Story()
    try:
        with log.open("rb") as file:
            reading = Reading(log, file)
            for row in reading:
                story.take(row)
    except OSError as error:
        raise Refused(f"{log}: expected a results folder with a log.jsonl, given {error.strerror or error}") from error
    if reading.torn:
        warnings.warn(f"{log}: the last line was torn off by a crash and is left out", stacklevel=2)
    headers = [row for row in story.rows if row["event"] == "header"]
    if not headers:
        raise Refused(f"{log}: expected a header, given a log without one; run the sweep again")
    cells = _cells(headers[-1]["sweep"]) | story.cells
    if lease.ends([*story.rows, story.newest]) <= time.time():
        for entry in cells.values():
            entry["status"] = "interrupted" if entry["status"] == "running" else entry["status"]
    choices = _choices(cells, headers[-1]["sweep"])
    for cell in _outdated(cells, choices):
        cells[cell] = _missing(cell)
        del story.plain_trials[cell], story.runs[cell]
    return Results(
        path=log.parent,
        header=headers[-1],
        plain_trials=story.plain_trials,
        epochs=story.epochs.frame(list(story.runs.values())),
        trials=pd.DataFrame(list(cells.values())),
        chosen=choices,
        notes=_notes(story.rows, cells),
    )


class _Story:
    """What a log says of each cell, taken row by row. `rows` are all but those of epochs, `newest` the last row."""

    def __init__(self) -> None:
        self.rows: list[Plain] = []
        self.cells: dict[Cell, Plain] = {}
        self.plain_trials: dict[Cell, Plain] = {}
        self.runs: dict[Cell, int] = {}
        self.epochs = EpochTable()
        self.newest: Plain = {}

    def take(self, row: Plain) -> None:
        """Take the next row."""
        self.newest = row
        if row["event"] == "epoch":
            self._epoch(row)
            return
        self.rows.append(row)
        if "cell" not in row:
            return
        cell = Cell(*row["cell"])
        if row["event"] == "asked":
            # A cell of confirm is asked for again where its arm has another choice: the newest counts.
            self.plain_trials[cell], self.runs[cell] = row["trial"], self.epochs.begin(cell)
            asked = {"status": "running", "id": row["id"], "seed": row["trial"]["seed"], "params": row["params"]}
            self.cells[cell] = _missing(cell) | asked
        elif row["event"] == "started" and self.cells[cell]["status"] == "lost":  # tried again, with more retries
            self.cells[cell] |= {"status": "running", "message": ""}
        elif row["event"] == "fault":
            self.cells[cell]["faults"] += 1
        elif row["event"] == "ended":
            outcome = row["outcome"]
            fields = {name: outcome[name] for name in ("status", "message", "kept")}
            self.cells[cell] |= fields | outcome["metrics"]

    def _epoch(self, row: Plain) -> None:
        cell: Any = tuple(row["cell"])  # equal to the Cell, and made in a third of the time
        entry, epoch = self.cells[cell], row["epoch"]
        self.epochs.add(self.runs[cell], epoch)
        entry["epochs"] = epoch["number"]
        entry["seconds"] += epoch["seconds"]
        # In retraining the validation examples are trained on. An epoch that is not kept keeps what was kept before.
        if epoch["kept"] == epoch["number"] and epoch.get("stage", "train") == "train":
            entry["val_accuracy"], entry["val_loss"] = epoch["val_accuracy"], epoch["val_loss"]


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
