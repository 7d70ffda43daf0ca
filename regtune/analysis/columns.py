"""What the rows of all comparison tables share: the columns of a mean, of a difference, and whether it matters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from regtune.core.header import ConfirmRecord
from regtune.core.metric import ACCURACY, METRICS, Metric
from regtune.statistics import Comparison, mean_interval, share_interval
from regtune.statistics.relevance import relevance

Row = Mapping[Hashable, Any]


def metric_of(table: pd.DataFrame) -> Metric:
    """Return the metric that the verdicts of a table of these rows are by."""
    return METRICS[table["metric"].iloc[0]] if "metric" in table else ACCURACY


def metric_column(confirm: ConfirmRecord) -> dict[str, str]:
    """Return the column `metric`, what verdicts are by; none where it is accuracy."""
    name = next(name for name, metric in METRICS.items() if metric == confirm.metric)
    return {} if confirm.metric == ACCURACY else {"metric": name}


def mean_columns(metric: Metric, values: Sequence[float]) -> dict[str, Any]:
    """Return the columns of a mean on test: `n`, mean, standard deviation, 95 % interval, within 0 and 1 for shares."""
    mean = share_interval(values) if metric.percent else mean_interval(values)
    ends = {"": mean.mean, "_sd": mean.sd, "_low": mean.low, "_high": mean.high}
    return {"n": mean.n} | {f"{metric.test}{end}": value for end, value in ends.items()}


def difference_columns(found: Comparison | None) -> dict[str, Any]:
    """Return the columns of a comparison with the first arm; of it itself, NaN and empty words."""
    return comparison_columns(found) | {"further": found.further if found else math.nan}


def comparison_columns(found: Comparison | None, of: str = "") -> dict[str, Any]:
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


def relevant_column(confirm: ConfirmRecord, found: Comparison | None) -> dict[str, str]:
    """Return the column `relevant` of a comparison with the first arm; of the first arm itself, it is empty.

    Where the sweep does not say which difference matters, there is no column.
    """
    margin: float | None = confirm.relevant
    if margin is None:
        return {}
    if found is None:
        return {"relevant": ""}
    if found.verdict == "off is as good":
        return {"relevant": f"equal within {margin:g}"}
    if found.note:
        return {"relevant": "undecided"}
    metric = confirm.metric
    word = relevance(
        mean=metric.to_maximize(found.mean),
        error=found.error,
        df=found.n - 1,
        margin=margin / metric.factor,
        alpha=found.alpha,
    )
    return {"relevant": f"equal within {margin:g}" if word == "equal" else word}
