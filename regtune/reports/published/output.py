"""Published tables beside results folders in every format that `regtune table` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from regtune.analysis.labels import labels
from regtune.reports.brief import tables_for_width
from regtune.reports.formats import TABLE
from regtune.reports.published.beside import Beside
from regtune.reports.published.matching import all_that_match, matches
from regtune.reports.tables.folder import FolderTables, read_folder


def published_beside(folders: Sequence[Path], name: str, form: str | None, width: int) -> str:
    """Return published figures beside those of results folders, in one of `formats.FORMATS` or, for None, a terminal's.

    `name` is that of a published table; for "" there are all whose arms match. Raises Refused where there is none.
    """
    sweeps = [read_folder(folder) for folder in folders]
    found = [[Beside(match=match, sweep=sweep) for match in matches(sweep.first.results, name)] for sweep in sweeps]
    if form == "json":
        return _json(sweeps, found)
    if form == "csv":
        return _csv(sweeps, found)
    tables = [each.table for mine in found for each in mine]
    if form is None:
        return tables_for_width(tables, width)
    return "\n\n".join(TABLE[form](table).rstrip("\n") for table in tables) + "\n"


def beside_each(sweep: FolderTables) -> list[Beside]:
    """Return each published table whose arms match beside a sweep; none where none does."""
    return [Beside(match=match, sweep=sweep) for match in all_that_match(sweep.first.results)]


def _json(sweeps: Sequence[FolderTables], found: Sequence[Sequence[Beside]]) -> str:
    """Return an object: `sweeps`, each with the published tables beside it."""
    whole = [
        {"sweep": sweep.first.results.sweep.name, "published": [each.plain() for each in mine]}
        for sweep, mine in zip(sweeps, found, strict=True)
    ]
    return json.dumps({"sweeps": whole}, allow_nan=False, indent=2) + "\n"


def _csv(sweeps: Sequence[FolderTables], found: Sequence[Sequence[Beside]]) -> str:
    """Return the unrounded rows; those of several sweeps begin with a label that no other sweep has."""
    named = labels([sweep.first.results for sweep in sweeps])
    frames = [each.rows.assign(sweep=name) for name, mine in zip(named, found, strict=True) for each in mine]
    whole = pd.concat([frame.dropna(axis="columns", how="all") for frame in frames]).reindex(columns=frames[0].columns)
    whole.insert(0, "sweep", whole.pop("sweep"))
    return (whole if len(sweeps) > 1 else whole.drop(columns="sweep")).to_csv(index=False)
