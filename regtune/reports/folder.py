"""The tables of whole results folders, where a sweep may have repeats: what is printed, and what a run writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.errors import Refused
from regtune.folders import repeats_of
from regtune.records import Plain
from regtune.reports.formats import FORMATS, html_table, write_tables
from regtune.reports.latex import latex
from regtune.reports.searches import over_searches, searches_as_text
from regtune.reports.searches_caption import searches_caption, searches_sentences
from regtune.reports.tables import Table
from regtune.store import Results, begun, load


def printed(folders: Sequence[Path], form: str) -> str:
    """Return the tables of results folders in a format of `formats.FORMATS`; that of a log is of it alone.

    Where a folder has repeats, the table over whole searches comes first and then those of each repeat; as CSV
    there is the one over searches only, as JSON one object that has those of each repeat. Raises Refused for the CSV of
    folders with repeats beside folders without: their columns are others.
    """
    sweeps = [[load(path) for path in _begun(folder)] for folder in folders]
    if form == "json":
        return json.dumps([_object(repeats) for repeats in sweeps], allow_nan=False, indent=2) + "\n"
    several = [repeats for repeats in sweeps if len(repeats) > 1]
    if form == "csv" and several:
        if len(several) < len(sweeps):
            raise Refused(
                f"--format csv: expected folders that all have repeats or none, given "
                f"{len(several)} of {len(sweeps)} with repeats; print them one by one"
            )
        return _csv(several)
    if not several:
        return FORMATS[form]([results for repeats in sweeps for results in repeats])
    return "\n".join(_text(repeats, form) + FORMATS[form](repeats) for repeats in sweeps)


def write_folder(folder: Path) -> tuple[list[Path], int]:
    """Write the tables of a sweep's folder and of its repeats; return their paths and the confirmed trials behind them.

    `table.md` has all of them, `table.csv` the first repeat's rows, `searches.csv` those over whole searches; a
    repeat's own tables lie beside its log.
    """
    paths = _begun(folder)
    confirmed = sum(write_tables(path) for path in paths)
    written = [folder / "table.md", folder / "table.csv"]
    if len(paths) > 1:
        written[0].write_text(printed([folder], "md"), encoding="utf-8")
        written.append(folder / "searches.csv")
        written[2].write_text(printed([folder], "csv"), encoding="utf-8")
    return written, confirmed


def _begun(folder: Path) -> list[Path]:
    """Return the folders of the repeats that have begun; of a sweep that has not begun itself, its own."""
    first, *others = repeats_of(folder)
    return [first, *(path for path in others if begun(path))]


def _text(repeats: Sequence[Results], form: str) -> str:
    """Return the table over whole searches in Markdown, HTML or LaTeX; empty for a sweep without repeats."""
    rows = over_searches(repeats)
    if rows is None:
        return ""
    caption, sentences, frame = searches_caption(repeats), searches_sentences(repeats, rows), searches_as_text(rows)
    if form == "md":
        lines = [caption, "", frame.to_markdown(index=False, disable_numparse=True)]
        lines += ["", *(f"- {line}" for line in sentences)] if sentences else []
        return "\n".join([*lines, "", ""])
    table = Table(title="Over whole searches", caption=caption, frame=frame, sentences=sentences)
    return {"html": html_table, "latex": latex}[form](table) + "\n"


def _csv(sweeps: Sequence[Sequence[Results]]) -> str:
    frames = []
    for repeats in sweeps:
        frame = over_searches(repeats)
        if frame is not None and len(sweeps) > 1:
            frame.insert(0, "sweep", repeats[0].sweep["name"])
        frames.append(frame)
    return pd.concat(frames).to_csv(index=False)


def _object(repeats: Sequence[Results]) -> Plain:
    """Return the object of a sweep; without repeats as `formats.to_json` has it."""
    each: list[Plain] = json.loads(FORMATS["json"](repeats))
    rows = over_searches(repeats)
    if rows is None:
        return each[0]
    arms = [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        | {name: json.loads(row[name]) for name in ("knobs", "scores")}
        for row in rows.to_dict("records")
    ]
    words: dict[str, Any] = {"sweep": repeats[0].sweep["name"], "caption": searches_caption(repeats)}
    return words | {"cannot_be_said": searches_sentences(repeats, rows), "arms": arms, "repeats": each}
