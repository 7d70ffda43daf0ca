"""The table of scores and differences, as a reader wants it."""

from __future__ import annotations

import math

import pandas as pd

from regtune.analysis.columns import metric_of
from regtune.reports.tables.rows import difference_cell, mean_cell
from regtune.reports.text import further_words, interval, knobs_chosen, number, verdict_words


def scores_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `scores` as a reader wants them: few columns, percent, intervals in brackets."""
    rows, most, metric = frame.to_dict("records"), frame["n"].max(), metric_of(frame)
    columns = {
        "arm": frame["arm"],
        "verdict": [verdict_words(row["verdict"], row["scope"]) + further_words(row["further"]) for row in rows],
        **({"relevant": frame["relevant"]} if "relevant" in frame else {}),
        "difference": [difference_cell(row, most, "seeds", metric) for row in rows],
        metric.head("test"): [mean_cell(row, metric) for row in rows],
        "sd": [number(metric.factor * value, metric.form) for value in frame[f"{metric.test}_sd"]],
        "n": frame["n"],
        "better in %": [
            interval(row["better"], row["better_low"], row["better_high"], form=".0f")
            if row["verdict"] not in ("", "off is as good")
            else ""
            for row in rows
        ],
        "test set resampled": [
            _ends(row["crossed_low"], row["crossed_high"]) if row["verdict"] else "" for row in rows
        ],
        "knobs chosen": [knobs_chosen(text) for text in frame["knobs"]],
    }
    if frame["crossed_low"].isna().all():
        del columns["test set resampled"]
    return pd.DataFrame(columns)


def _ends(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"[{100 * low:+.2f}, {100 * high:+.2f}]"
