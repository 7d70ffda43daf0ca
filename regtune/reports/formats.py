"""The tables of one or several results folders in every format that `regtune table` prints."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

import pandas as pd

from regtune.analysis.failures import count_failed, failed_lines
from regtune.analysis.labels import labels
from regtune.analysis.sweeps import WINS, SweepsTogether, frame, mean_column_names
from regtune.core.records import Json
from regtune.core.writing import write
from regtune.reports.latex import latex
from regtune.reports.tables._table import Table
from regtune.reports.tables.catalog import Tables
from regtune.reports.tables.sweeps import caption_over_sweeps, sentences_over_sweeps


def to_markdown(sweeps: Sequence[Tables]) -> str:
    """Return the tables of each sweep with captions and failures."""
    return "\n".join(markdown(found) for found in sweeps)


def markdown(found: Tables) -> str:
    """Return tables, what must be said of them and failures as Markdown."""
    parts = [markdown_table(table) for table in found.in_order]
    if bad := failed_lines(found.results):
        parts += [f"{count_failed(found.results)} trials did not end well:", "\n".join(f"- {line}" for line in bad)]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return caption, table and sentences."""
    parts = [table.caption, table.frame.to_markdown(index=False, disable_numparse=True)]
    parts += ["\n".join(f"- {line}" for line in table.sentences)] if table.sentences else []
    return "\n\n".join(parts)


def to_csv(sweeps: Sequence[Tables]) -> str:
    """Return the unrounded rows; those of several sweeps begin with a label that no other sweep has."""
    if len(sweeps) == 1:
        return sweeps[0].rows.to_csv(index=False)
    frames = []
    for label, found in zip(labels([found.results for found in sweeps]), sweeps, strict=True):
        frame = found.rows.copy()
        frame.insert(0, "sweep", label)
        frames.append(frame)
    return pd.concat(frames).to_csv(index=False)


def to_latex(sweeps: Sequence[Tables]) -> str:
    """Return the floats of each sweep."""
    return "\n".join(latex(table) for found in sweeps for table in found.in_order)


def to_html(sweeps: Sequence[Tables]) -> str:
    """Return the tables of each sweep, to be put into a page."""
    return "\n".join(html_table(table) for found in sweeps for table in found.in_order)


def html_table(table: Table) -> str:
    """Return a table; an arm's name is the header of its row."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.frame.columns)
    rows = []
    for arm, *cells in table.frame.astype(str).itertuples(index=False):
        data = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(arm)}</th>{data}</tr>')
    words = escape(" ".join([table.caption, *table.sentences]))
    body = "\n".join(rows)
    return f"<table>\n<caption>{words}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def to_plain(found: Tables) -> Json:
    """Return the rows of a sweep and what is said of them, fit for strict JSON: None for what cannot be said."""
    arms = [
        {str(name): strict(value) for name, value in row.items()} | {"knobs": json.loads(row["knobs"])}
        for row in found.rows.to_dict("records")
    ]
    return {
        "sweep": found.results.sweep.name,
        "caption": found.scores.caption,
        "cannot_be_said": [*found.unsaid, *found.metrics.sentences],
        "warnings": list(found.budget.sentences),
        "captions": {
            name: table and table.caption for name, table in (("tuning", found.tuning), ("spread", found.spread))
        },
        "arms": arms,
        "aa": found.aa and found.aa.plain(),
        "failures": failed_lines(found.results),
    }


def strict(value: Any) -> Any:
    """Return a value, None for a number that JSON has no word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_tables(found: Tables) -> None:
    """Write `table.md` and `table.csv` beside a log."""
    folder = found.results.path
    write(folder / "table.md", markdown(found))
    write(folder / "table.csv", found.rows.to_csv(index=False))


# Formats in which tables stand one behind the other, and what writes one table, and all of several sweeps.
TABLE: Mapping[str, Callable[[Table], str]] = MappingProxyType(
    {"md": markdown_table, "latex": latex, "html": html_table}
)
SWEEPS: Mapping[str, Callable[[Sequence[Tables]], str]] = MappingProxyType(
    {"md": to_markdown, "latex": to_latex, "html": to_html}
)
FORMATS = ("md", "csv", "latex", "html", "json")


def sweeps_json(found: SweepsTogether) -> Json:
    """Return ranks, wins and means by metric; None for what cannot be said."""
    ranks, rows = found.ranks, frame(found).astype(object)
    rows = rows.where(rows.notna(), None)
    by_metric: dict[str, dict[str, str]] = {}
    for label, column in mean_column_names(found).items():
        by_metric.setdefault(column.partition(":")[0], {})[label] = column
    arms = [
        {"arm": row["arm"], "mean_rank": row["mean_rank"]}
        | {word: row[word] for word in WINS}
        | {name: {label: row[column] for label, column in mine.items()} for name, mine in by_metric.items()}
        for row in rows.to_dict("records")
    ]
    return {
        "caption": caption_over_sweeps(found),
        "said": sentences_over_sweeps(found),
        "arms": arms,
        "sweeps_ranked": ranks.n,
        "left_out": list(ranks.left_out),
        "friedman_p": strict(ranks.p),
        "critical_difference": strict(ranks.critical),
        "cannot_be_said": ranks.note,
    }
