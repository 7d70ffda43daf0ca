"""Tables of what search found at equal total cost in every format that `regtune table` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from regtune.analysis.equal_cost import COSTS
from regtune.analysis.labels import labels
from regtune.core.errors import Refused, nearest
from regtune.reports.brief import tables_for_width
from regtune.reports.formats import TABLE, strict
from regtune.reports.tables.catalog import Tables
from regtune.reports.tables.equal_cost import equal_cost_rows, equal_cost_table
from regtune.reports.tables.folder import read_folder


def at_equal_cost(folders: Sequence[Path], cost: str, form: str | None, width: int) -> str:
    """Return the table of each results folder, in one of `formats.FORMATS` or, for None, a terminal's.

    `cost` is one of `equal_cost.COSTS`. Of a sweep with repeats it is that of the first. JSON is an object: `sweeps`,
    an object each. Raises Refused for another cost, and where a log does not have it.
    """
    if cost not in COSTS:
        raise Refused(f"--equal-cost: expected one of {', '.join(COSTS)}, given {cost!r}{nearest(cost, COSTS)}")
    logs = [read_folder(folder).first for folder in folders]
    frames = [equal_cost_rows(log.analysis, cost) for log in logs]
    if form == "json":
        return _json(logs, frames)
    if form == "csv":
        return _csv(logs, frames)
    tables = [equal_cost_table(log.analysis, rows, cost) for log, rows in zip(logs, frames, strict=True)]
    if form is None:
        return tables_for_width(tables, width)
    return "\n\n".join(TABLE[form](table).rstrip("\n") for table in tables) + "\n"


def _json(logs: Sequence[Tables], frames: Sequence[pd.DataFrame]) -> str:
    whole = [
        {"sweep": log.results.sweep.name, "arms": [_plain(rows, number) for number in range(len(rows))]}
        for log, rows in zip(logs, frames, strict=True)
    ]
    return json.dumps({"sweeps": whole}, allow_nan=False, indent=2) + "\n"


def _plain(rows: pd.DataFrame, number: int) -> dict[str, object]:
    return {str(name): strict(value) for name, value in rows.astype(object).iloc[number].items()}


def _csv(logs: Sequence[Tables], frames: Sequence[pd.DataFrame]) -> str:
    """Return the unrounded rows; those of several sweeps begin with a label that no other sweep has."""
    if len(frames) == 1:
        return frames[0].to_csv(index=False)
    named = labels([log.results for log in logs])
    whole = pd.concat([rows.assign(sweep=name) for name, rows in zip(named, frames, strict=True)])
    whole.insert(0, "sweep", whole.pop("sweep"))
    return whole.to_csv(index=False)
