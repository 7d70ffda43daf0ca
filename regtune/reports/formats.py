"""The comparison tables of one or several results folders in every format that `regtune table` prints."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

import pandas as pd

from regtune.records import Plain
from regtune.reports.caption import caption
from regtune.reports.comparison import comparison, failures, formatted, markdown
from regtune.reports.latex import latex
from regtune.reports.unsaid import unsaid
from regtune.store import Results


def to_markdown(sweeps: Sequence[Results]) -> str:
    """Return caption, table and failures of each sweep."""
    return "\n".join(markdown(results) for results in sweeps)


def to_csv(sweeps: Sequence[Results]) -> str:
    """Return the unrounded rows; those of several sweeps begin with the sweep's name."""
    if len(sweeps) == 1:
        return comparison(sweeps[0]).to_csv(index=False)
    frames = []
    for results in sweeps:
        frame = comparison(results)
        frame.insert(0, "sweep", results.sweep["name"])
        frames.append(frame)
    return pd.concat(frames).to_csv(index=False)


def to_latex(sweeps: Sequence[Results]) -> str:
    """Return one float per sweep."""
    return "\n".join(latex(results) for results in sweeps)


def to_html(sweeps: Sequence[Results]) -> str:
    """Return one table per sweep, to be put into a page."""
    return "\n".join(html_table(results) for results in sweeps)


def html_table(results: Results) -> str:
    """Return the table of a sweep; an arm's name is the header of its row."""
    table = comparison(results)
    return html_of(formatted(table), " ".join([caption(results), *unsaid(table)]))


def html_of(frame: pd.DataFrame, words: str) -> str:
    """Return a table of text with these words above it; its first column heads the rows."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in frame.columns)
    rows = []
    for arm, *cells in frame.astype(str).itertuples(index=False):
        data = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(arm)}</th>{data}</tr>')
    body = "\n".join(rows)
    top = f"<caption>{escape(words)}</caption>\n<thead><tr>{head}</tr></thead>"
    return f"<table>\n{top}\n<tbody>\n{body}\n</tbody>\n</table>\n"


def to_json(sweeps: Sequence[Results]) -> str:
    """Return strict JSON, a list with an object per sweep; null stands for what cannot be said."""
    return json.dumps([_plain(results) for results in sweeps], allow_nan=False, indent=2) + "\n"


def _plain(results: Results) -> Plain:
    table = comparison(results)
    arms = [
        {str(name): _strict(value) for name, value in row.items()} | {"knobs": json.loads(row["knobs"])}
        for row in table.to_dict("records")
    ]
    return {
        "sweep": results.sweep["name"],
        "caption": caption(results),
        "cannot_be_said": unsaid(table),
        "arms": arms,
        "failures": failures(results),
    }


def _strict(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


FORMATS: Mapping[str, Callable[[Sequence[Results]], str]] = MappingProxyType(
    {"md": to_markdown, "csv": to_csv, "latex": to_latex, "html": to_html, "json": to_json}
)
