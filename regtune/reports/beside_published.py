"""Published figures beside those of results folders, in every format that `regtune table` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from regtune.reports.brief import Part, fit_to_width
from regtune.reports.formats import TABLE
from regtune.reports.published_figures import Published, belonging, published
from regtune.reports.tables.folder import FolderTables, read_folder
from regtune.reports.tables.published import NONE, published_object, published_rows, published_table

Pair = tuple[FolderTables, str, Published]


def beside_published(folders: Sequence[Path], name: str | None, form: str | None, width: int) -> str:
    """Return the tables that belong to each sweep by its name, or the one that is named, one behind the other.

    In one of `formats.FORMATS`; None is for a terminal of this width. Raises Refused where there is none.
    """
    pairs: list[Pair] = []
    for folder in folders:
        sweep = read_folder(folder)
        chosen = [name] if name is not None else belonging(sweep.first.results.sweep.name)
        pairs += [(sweep, each, published(each)) for each in chosen]
    if form == "json":
        return json.dumps([published_object(*pair) for pair in pairs], allow_nan=False, indent=2) + "\n"
    if form == "csv":
        return pd.concat([published_rows(*pair) for pair in pairs]).to_csv(index=False)
    tables = [published_table(*pair) for pair in pairs]
    if form is not None:
        return "\n\n".join(TABLE[form](table) for table in tables) + "\n"
    parts = [
        # Figures of no arm stand in the sentences.
        Part(answer=[], which=each.caption, table=each.frame[each.frame["arm"] != NONE], sentences=each.sentences)
        for each in tables
    ]
    return "\n".join(fit_to_width(part, width) for part in parts)
