"""What every arm scores on test at its chosen configuration, and how it compares with the first arm."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pandas as pd

from regtune.analysis.columns import difference_columns, mean_columns, metric_column, relevant_column
from regtune.analysis.families import confirmed_scores
from regtune.analysis.verdicts import ArmVerdict
from regtune.core.metric import Metric
from regtune.results.loader import Results
from regtune.statistics import bca_interval
from regtune.statistics.racing import Race


def scores(results: Results, found: Mapping[str, ArmVerdict]) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file; `found` are its `verdicts`.

    `scope` says what verdicts are about: "searches" of this kind, or the "configuration" that this one found; logs that
    do not say are about the latter. `knobs` are those chosen, as JSON. `metric` is what verdicts are by where
    that is not accuracy. `n` counts confirmed seeds that have it; its mean (`test_*`) is in the unit of
    `records.Outcome`, with standard deviation, 95 % interval and, from 20 seeds on, BCa interval.
    `pairs` are the seeds that an arm and the first both
    finished; over them go `difference`, its simultaneous interval, p as it is and Holm's, the verdict, `further`
    (seeds that would resolve it, see `power.further_seeds`), `note` (why nothing can be said) and `better`, P(better)
    with its interval. `crossed_*` is the interval over seeds and test examples. Only where the sweep says which
    difference matters there is `relevant`: "better", "worse", "equal within" it or "undecided", see
    `statistics.relevance`.
    """
    confirm, metric = results.sweep.confirm, results.sweep.confirm.metric
    scope = confirm.scope or "configuration"
    # A race cannot be made longer, and seeds alone do not resolve what depends on the search.
    fixed = Race.of(confirm) is not None or scope == "searches"
    rows = []
    for arm in results.sweep.arms:
        values, verdict = list(confirmed_scores(results, arm, metric).values()), found.get(arm)
        rows.append(
            {"arm": arm, "knobs": json.dumps(results.chosen.get(arm, {}))}
            | metric_column(confirm)
            | mean_columns(metric, values)
            | _bootstrapped(metric, values)
            | difference_columns(verdict.comparison if verdict else None)
            | relevant_column(confirm, verdict.comparison if verdict else None)
            | _beside(verdict)
            | ({"further": math.nan} if fixed else {})
            | {"scope": scope}
        )
    return pd.DataFrame(rows)


def _bootstrapped(metric: Metric, values: list[float]) -> dict[str, float]:
    bca = bca_interval(values)
    return {f"{metric.test}_bca_low": bca.low, f"{metric.test}_bca_high": bca.high}


def _beside(verdict: ArmVerdict | None) -> dict[str, float]:
    """Return P(better) and the interval over seeds and test examples."""
    better, crossed = (verdict.comparison.better, verdict.crossed) if verdict else (None, None)
    return {
        "better": better.share if better else math.nan,
        "better_low": better.low if better else math.nan,
        "better_high": better.high if better else math.nan,
        "crossed_low": crossed.low if crossed else math.nan,
        "crossed_high": crossed.high if crossed else math.nan,
    }
