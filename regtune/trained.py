"""What trials have done that ended well, by id: a cell that holds one of them again has it without training.

Equal trials have equal ids and give equal numbers, whichever arm or phase they are for: a choice that select makes may
be a rival after an extension, and an arm whose switches are off holds the baseline. Trials that did not end well are
trained where they are asked for: one that was pruned was so within its arm, and what failed may have been mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from regtune.records import Cell, Epoch, Plain


class Run(NamedTuple):
    """The epochs of a trial that ended well, the cell that it was trained for, and where."""

    cell: Cell
    epochs: Sequence[Epoch]
    where: Mapping[str, str]


class Trained:
    """The runs of a log with these rows, and those that are kept since; of each trial the newest."""

    def __init__(self, rows: Sequence[Plain]) -> None:
        self._runs: dict[str, Run] = {}
        self._rows: dict[str, list[Plain]] = {}  # no more than the log holds of them already
        under_way: dict[Cell, list[Plain]] = {}
        ids: dict[Cell, str] = {}
        for row in rows:
            if row["event"] == "retry":  # what these cells hold is asked for anew, maybe of other code
                for again in (Cell(*each) for each in row["cells"]):
                    under_way.pop(again, None)
                    self._rows.pop(ids.get(again, ""), None)
            cell = Cell(*row["cell"]) if "cell" in row else None
            if cell is not None and row["event"] == "asked":
                under_way[cell], ids[cell] = [row], row["id"]
            elif cell is not None and cell in under_way:
                under_way[cell].append(row)
                if row["event"] == "ended" and row["outcome"]["status"] == "ok":
                    mine = under_way.pop(cell)
                    self._rows[mine[0]["id"]] = mine

    def keep(self, trial: str, run: Run) -> None:
        """Take note of a trial that has ended well."""
        self._runs[trial] = run

    def find(self, trial: str) -> Run | None:
        """Return the run of a trial by its id, None where it has to be trained."""
        if trial not in self._runs and trial in self._rows:
            rows = self._rows.pop(trial)
            epochs = [Epoch.from_plain(row["epoch"]) for row in rows if row["event"] == "epoch"]
            where = [row["where"] for row in rows if row["event"] == "started"]
            self._runs[trial] = Run(Cell(*rows[0]["cell"]), epochs, where[-1] if where else {})
        run = self._runs.get(trial)
        return run if run is not None and run.epochs and run.epochs[-1].outcome is not None else None
