"""The tables of whole results folders, where a sweep may have repeats: what is printed, and what a run writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from regtune.analysis.labels import labels
from regtune.analysis.repeat_scores import repeat_scores
from regtune.analysis.sweeps import compare_sweeps
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.core.writing import write
from regtune.reports.formats import SWEEPS, TABLE, strict, sweeps_json, to_csv, to_plain, write_tables
from regtune.reports.tables.aa import aa_over
from regtune.reports.tables.repeats import repeats_caption, repeats_sentences, repeats_tables
from regtune.reports.tables.spread import spread_caption
from regtune.reports.tables.sweeps import sweeps_table
from regtune.results.loader import Results, has_begun, load
from regtune.storage.layout import repeats_of


def formatted(folders: Sequence[Path], form: str) -> str:
    """Return the tables of results folders in one of `formats.FORMATS`; those of a log are of it alone.

    Where a folder has repeats, the table over whole searches comes first and then those of each repeat; behind
    several folders comes the table over all of them, in which the first repeat counts. JSON is an object: `sweeps`,
    an object each, and `together`, null for one folder. CSV has rows of one shape: those over searches where folders
    have repeats, and nothing over all. Raises Refused for the CSV of folders with repeats beside folders without.
    """
    sweeps = [repeats_in(folder) for folder in folders]
    over_all = compare_sweeps([repeats[0] for repeats in sweeps]) if len(sweeps) > 1 else None
    if form == "json":
        whole = {"sweeps": [_object(repeats) for repeats in sweeps], "together": over_all and sweeps_json(over_all)}
        return json.dumps(whole, allow_nan=False, indent=2) + "\n"
    if form == "csv":
        return _csv(sweeps)
    parts = [_text(repeats, form) for repeats in sweeps]
    return "\n".join([*parts, TABLE[form](sweeps_table(over_all)) + "\n"] if over_all else parts)


def repeats_in(folder: Path) -> list[Results]:
    """Return the repeats of a sweep that have begun, the first in front; of one without repeats, it alone."""
    return [load(path) for path in _begun(folder)]


class Written(NamedTuple):
    """The files that were written, the confirmed trials behind them, and the arms that failed whole in any repeat."""

    files: list[Path]
    confirmed: int
    failed: list[str]


def write_folder(folder: Path) -> Written:
    """Write the tables of a sweep's folder and of its repeats.

    `table.md` has all of them, `table.csv` the first repeat's rows, `searches.csv` those over whole searches; a
    repeat's own tables lie beside its log.
    """
    paths = _begun(folder)
    tables = [write_tables(path) for path in paths]
    written = [folder / "table.md", folder / "table.csv"]
    if len(paths) > 1:
        write(written[0], formatted([folder], "md"))
        written.append(folder / "searches.csv")
        write(written[2], formatted([folder], "csv"))
    failed = dict.fromkeys(arm for _, arms in tables for arm in arms)
    return Written(written, sum(confirmed for confirmed, _ in tables), list(failed))


def _begun(folder: Path) -> list[Path]:
    """Return the folders of the repeats that have begun; of a sweep that has not begun itself, its own."""
    first, *others = repeats_of(folder)
    return [first, *(path for path in others if has_begun(path))]


def _text(repeats: Sequence[Results], form: str) -> str:
    """Return the tables of a sweep, with repeats behind those over whole searches."""
    return "".join(f"{TABLE[form](table)}\n\n" for table in repeats_tables(repeats)) + SWEEPS[form](repeats)


def _csv(sweeps: Sequence[Sequence[Results]]) -> str:
    repeated = [repeat_scores(repeats) for repeats in sweeps]
    frames = [frame for frame in repeated if frame is not None]
    if frames and len(frames) < len(sweeps):
        raise Refused(
            f"--format csv: expected folders that all have repeats or none, given "
            f"{len(frames)} of {len(sweeps)} with repeats; print them one by one"
        )
    if not frames:
        return to_csv([repeats[0] for repeats in sweeps])
    named = [frame.assign(sweep=label) for frame, label in zip(frames, labels([r[0] for r in sweeps]), strict=True)]
    whole = pd.concat(named)
    whole.insert(0, "sweep", whole.pop("sweep"))
    return (whole if len(sweeps) > 1 else frames[0]).to_csv(index=False)


def _object(repeats: Sequence[Results]) -> Json:
    """Return the object of a sweep; with repeats that over whole searches, which has those of each."""
    each, rows = [to_plain(results) for results in repeats], repeat_scores(repeats)
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
    return words | {"cannot_be_said": repeats_sentences(repeats, rows), "arms": arms, "repeats": each}
