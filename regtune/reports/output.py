"""The tables of whole results folders, where a sweep may have repeats: what is printed, and what a run writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from regtune.analysis.failures import failed_whole
from regtune.analysis.labels import labels
from regtune.analysis.sweeps import compare_sweeps
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.core.writing import write
from regtune.reports.formats import SWEEPS, TABLE, strict, sweeps_json, to_csv, to_plain, write_tables
from regtune.reports.tables.aa import aa_over
from regtune.reports.tables.folder import FolderTables, read_folder
from regtune.reports.tables.repeats import repeats_caption
from regtune.reports.tables.spread import spread_caption
from regtune.reports.tables.sweeps import sweeps_table


def formatted(folders: Sequence[Path], form: str) -> str:
    """Return the tables of results folders in one of `formats.FORMATS`; those of a log are of it alone.

    Where a folder has repeats, the table over whole searches comes first and then those of each repeat; behind
    several folders comes the table over all of them, in which the first repeat counts. JSON is an object: `sweeps`,
    an object each, and `together`, null for one folder. CSV has rows of one shape: those over searches where folders
    have repeats, and nothing over all. Raises Refused for the CSV of folders with repeats beside folders without.
    """
    return tables_as_text([read_folder(folder) for folder in folders], form)


def tables_as_text(sweeps: Sequence[FolderTables], form: str) -> str:
    """Return the tables of folders that have been read, see `formatted`."""
    over_all = compare_sweeps([sweep.first.analysis for sweep in sweeps]) if len(sweeps) > 1 else None
    if form == "json":
        whole = {"sweeps": [_object(sweep) for sweep in sweeps], "together": over_all and sweeps_json(over_all)}
        return json.dumps(whole, allow_nan=False, indent=2) + "\n"
    if form == "csv":
        return _csv(sweeps)
    parts = [_text(sweep, form) for sweep in sweeps]
    return "\n".join([*parts, TABLE[form](sweeps_table(over_all)) + "\n"] if over_all else parts)


class Written(NamedTuple):
    """The files that were written, the confirmed trials behind them, and the arms that failed whole in any repeat."""

    files: list[Path]
    confirmed: int
    failed: list[str]


def write_folder(sweep: FolderTables) -> Written:
    """Write the tables of a sweep's folder and of its repeats.

    `table.md` has all of them, `table.csv` the first repeat's rows, `searches.csv` those over whole searches; a
    repeat's own tables lie beside its log.
    """
    folder = sweep.first.results.path
    for log in sweep.logs:
        write_tables(log)
    written = [folder / "table.md", folder / "table.csv"]
    if len(sweep.logs) > 1:
        write(written[0], tables_as_text([sweep], "md"))
        written.append(folder / "searches.csv")
        write(written[2], tables_as_text([sweep], "csv"))
    failed = dict.fromkeys(arm for results in sweep.repeats for arm in failed_whole(results))
    return Written(written, sum(int(log.rows["n"].sum()) for log in sweep.logs), list(failed))


def _text(sweep: FolderTables, form: str) -> str:
    """Return the tables of a sweep, with repeats behind those over whole searches."""
    return "".join(f"{TABLE[form](table)}\n\n" for table in sweep.over_repeats) + SWEEPS[form](sweep.logs)


def _csv(sweeps: Sequence[FolderTables]) -> str:
    frames = [sweep.repeat_scores for sweep in sweeps if sweep.repeat_scores is not None]
    if frames and len(frames) < len(sweeps):
        raise Refused(
            f"--format csv: expected folders that all have repeats or none, given "
            f"{len(frames)} of {len(sweeps)} with repeats; print them one by one"
        )
    if not frames:
        return to_csv([sweep.first for sweep in sweeps])
    names = labels([sweep.first.results for sweep in sweeps])
    named = [frame.assign(sweep=name) for frame, name in zip(frames, names, strict=True)]
    whole = pd.concat(named)
    whole.insert(0, "sweep", whole.pop("sweep"))
    return (whole if len(sweeps) > 1 else frames[0]).to_csv(index=False)


def _object(sweep: FolderTables) -> Json:
    """Return the object of a sweep; with repeats that over whole searches, which has those of each."""
    repeats, rows = sweep.repeats, sweep.repeat_scores
    each = [to_plain(log) for log in sweep.logs]
    if rows is None:
        return each[0]
    arms = [
        {str(name): strict(value) for name, value in row.items()}
        | {name: json.loads(row[name]) for name in ("knobs", "scores")}
        for row in rows.to_dict("records")
    ]
    words: Json = {"sweep": repeats[0].sweep.name, "caption": repeats_caption(repeats)}
    words |= {"captions": {"spread": spread_caption(repeats, rows)}}
    copy = aa_over(repeats)
    words |= {"aa": copy and copy.plain()}
    return words | {"cannot_be_said": sweep.sentences, "arms": arms, "repeats": each}
