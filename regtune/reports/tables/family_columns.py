"""How arms differ in likelihood and calibration, as columns: unrounded, and as a reader wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from regtune.analysis.families import family, finished, others
from regtune.core.metric import Metric, confirmed_by
from regtune.reports.tables.rows import Row, compared, fewer
from regtune.reports.text import interval
from regtune.results.loader import Results
from regtune.statistics import Comparison, mean_interval


def family_columns(results: Results) -> pd.DataFrame:
    """Return by arm, for each metric beside that of the sweep, the columns of its comparison with the first arm.

    They are those of the verdicts, with `test_loss_`, `test_ece_` or `test_accuracy_` before them. `*_n` counts the
    confirmed seeds that have the metric, `*_pairs` those of the difference, which is in the unit of the metric.
    """
    beside = others(confirmed_by(results.sweep))
    found = {metric.test: family(results, metric) for metric in beside}
    rows = []
    for arm in results.sweep["arms"]:
        row: dict[str, Any] = {"arm": arm}
        for metric in beside:
            row[f"{metric.test}_n"] = len(finished(results, arm, metric))
            row |= compared(found[metric.test].get(arm), f"{metric.test}_")
        rows.append(row)
    return pd.DataFrame(rows).set_index("arm")


def repeated_columns(metric: Metric, means: Sequence[float], found: Comparison | None) -> dict[str, Any]:
    """Return the columns of an arm over repeats: of its means in each, and of the comparison with the first arm."""
    mean = mean_interval(means)
    return {
        metric.test: mean.mean,
        f"{metric.test}_sd": mean.sd,
        f"{metric.test}_n": mean.n,
        **compared(found, f"{metric.test}_"),
    }


def family_cells(frame: pd.DataFrame, metric: Metric, unit: str) -> list[str]:
    """Return the differences of a metric with their intervals and verdicts; the frame has its columns.

    Behind a difference stands over how many of a `unit` it is, where they are fewer than the most behind any mean.
    """
    most = frame[f"{metric.test}_n"].max()
    return [_cell(row, metric, most, unit) for row in frame.to_dict("records")]


def _cell(row: Row, metric: Metric, most: int, unit: str) -> str:
    """Return one difference: with its verdict where the data allow one, and empty for the first arm."""
    mean, low, high, verdict, note, pairs = (
        row[f"{metric.test}_{name}"]
        for name in ("difference", "difference_low", "difference_high", "verdict", "note", "pairs")
    )
    if not verdict:
        return ""
    if verdict == "off is as good":
        return "0"
    text = interval(mean, low, high, form=metric.form, sign="+", factor=metric.factor)
    return " ".join(filter(None, [text, "" if note else verdict])) + fewer(pairs, most, unit)
