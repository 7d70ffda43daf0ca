"""The cells of a row over seeds or over repeats: a mean and a difference, with their intervals."""

from __future__ import annotations

from regtune.analysis.columns import Row
from regtune.core.metric import Metric
from regtune.reports.text import interval


def mean_cell(row: Row, metric: Metric) -> str:
    """Return a mean on test with its interval."""
    mean, low, high = (row[f"{metric.test}{end}"] for end in ("", "_low", "_high"))
    return interval(mean, low, high, form=metric.form, factor=metric.factor)


def difference_cell(row: Row, most: int, unit: str, metric: Metric) -> str:
    """Return a difference with its interval, and over how many of a `unit` where they are fewer than most."""
    if not row["verdict"]:
        return ""
    if row["verdict"] == "off is as good":
        return "0"
    ends = (row["difference"], row["difference_low"], row["difference_high"])
    mean = interval(*ends, form=metric.form, sign="+", factor=metric.factor)
    return mean + fewer(row["pairs"], most, unit)


def fewer(pairs: int, most: int, unit: str) -> str:
    """Return over how many of a `unit` a difference is where they are fewer than most; else nothing."""
    return f" over {pairs} {unit}" if 0 < pairs < most else ""
