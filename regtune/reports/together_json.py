"""The table over several sweeps as an object for strict JSON."""

from __future__ import annotations

from regtune.analysis.sweeps import WINS, Together, columns, frame
from regtune.core.records import Plain
from regtune.reports.formats import strict
from regtune.reports.tables.sweeps import caption_over_sweeps, sentences_over_sweeps


def together_plain(found: Together) -> Plain:
    """Return ranks, wins and means by metric; None for what cannot be said."""
    ranks, rows = found.ranks, frame(found).astype(object)
    rows = rows.where(rows.notna(), None)
    by_metric: dict[str, dict[str, str]] = {}
    for label, column in columns(found).items():
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
