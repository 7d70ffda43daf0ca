"""What the rows of the tables over seeds and over whole searches share: mean, difference, and their cells."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from regtune.core.metric import ACCURACY, METRICS, Metric
from regtune.core.records import Plain
from regtune.reports.text import interval
from regtune.statistics import Comparison, mean_interval, share_interval

Row = Mapping[Hashable, Any]


def metric_of(table: pd.DataFrame) -> Metric:
    """Return the metric that the verdicts of a table of these rows are by."""
    return METRICS[table["metric"].iloc[0]] if "metric" in table else ACCURACY


def named(confirm: Plain) -> dict[str, str]:
    """Return the column `metric`, given the `[confirm]` of a sweep as its log has it; none where it is accuracy."""
    name = confirm.get("metric", "accuracy")
    return {} if name == "accuracy" else {"metric": name}


def means(metric: Metric, values: Sequence[float]) -> dict[str, Any]:
    """Return the columns of a mean on test: `n`, mean, standard deviation, 95 % interval, within 0 and 1 for shares."""
    mean = share_interval(values) if metric.percent else mean_interval(values)
    ends = {"": mean.mean, "_sd": mean.sd, "_low": mean.low, "_high": mean.high}
    return {"n": mean.n} | {f"{metric.test}{end}": value for end, value in ends.items()}


def difference(found: Comparison | None) -> dict[str, Any]:
    """Return the columns of a comparison with the first arm; of it itself, NaN and empty words."""
    return compared(found) | {"further": found.further if found else math.nan}


def compared(found: Comparison | None, of: str = "") -> dict[str, Any]:
    """Return the columns of a comparison with the first arm, their names beginning with that of a metric."""
    columns = {
        "pairs": found.n if found else 0,
        "difference": found.mean if found else math.nan,
        "difference_sd": found.sd if found else math.nan,
        "difference_low": found.low if found else math.nan,
        "difference_high": found.high if found else math.nan,
        "p": found.p if found else math.nan,
        "p_holm": found.p_holm if found else math.nan,
        "verdict": found.verdict if found else "",
        "note": found.note if found else "",
    }
    return {f"{of}{name}": value for name, value in columns.items()}


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
