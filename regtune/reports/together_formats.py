"""The table over several sweeps in every format of `regtune table`, behind the tables of each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType

from regtune.records import Plain
from regtune.reports.latex import escaped
from regtune.reports.together import WINS, Together, frame, together
from regtune.reports.together_words import caption_over_sweeps, sentences_over_sweeps, table_over_sweeps
from regtune.store import Results


def with_together(text: str, sweeps: Sequence[Results], form: str) -> str:
    """Return the tables of each sweep, a text in that format, and behind them the one over all, of several.

    JSON becomes an object: `sweeps`, the list that it was, and `together`, null for one sweep. CSV stays as it
    is, since its rows are of one shape.
    """
    if form == "json":
        whole = {"sweeps": json.loads(text), "together": _plain(together(sweeps)) if len(sweeps) > 1 else None}
        return json.dumps(whole, allow_nan=False, indent=2) + "\n"
    if form == "csv" or len(sweeps) == 1:
        return text
    return f"{text}\n{WRITERS[form](together(sweeps))}"


def _markdown(found: Together) -> str:
    table = table_over_sweeps(found).to_markdown(index=False, disable_numparse=True)
    sentences = [f"- {sentence}" for sentence in sentences_over_sweeps(found)]
    return "\n".join([caption_over_sweeps(found), "", table, "", *sentences, ""])


def _html(found: Together) -> str:
    table = table_over_sweeps(found)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = []
    for arm, *cells in table.itertuples(index=False):
        data = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(arm)}</th>{data}</tr>')
    top = f"<caption>{escape(_words(found))}</caption>\n<thead><tr>{head}</tr></thead>"
    return "\n".join(["<table>", top, "<tbody>", *rows, "</tbody>", "</table>", ""])


def _latex(found: Together) -> str:
    table = table_over_sweeps(found)
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in table.itertuples(index=False)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(_words(found))}}}",
            rf"\begin{{tabular}}{{{'l' + 'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(escaped, table.columns)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _words(found: Together) -> str:
    return " ".join([caption_over_sweeps(found), *sentences_over_sweeps(found)])


def _plain(found: Together) -> Plain:
    """Return strict JSON: null for what cannot be said."""
    ranks, rows = found.ranks, frame(found).astype(object)
    rows = rows.where(rows.notna(), None)
    arms = [
        {"arm": row["arm"], "mean_rank": row["mean_rank"]}
        | {word: row[word] for word in WINS}
        | {"test_accuracy": {str(label): row[f"test_accuracy: {label}"] for label in found.scores.index}}
        for row in rows.to_dict("records")
    ]
    return {
        "caption": caption_over_sweeps(found),
        "said": sentences_over_sweeps(found),
        "arms": arms,
        "sweeps_ranked": ranks.n,
        "left_out": list(ranks.left_out),
        "friedman_p": _strict(ranks.p),
        "critical_difference": _strict(ranks.critical),
        "cannot_be_said": ranks.note,
    }


def _strict(value: float) -> float | None:
    return value if math.isfinite(value) else None


WRITERS: Mapping[str, Callable[[Together], str]] = MappingProxyType({"md": _markdown, "html": _html, "latex": _latex})
