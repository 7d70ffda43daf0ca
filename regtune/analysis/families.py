"""What arms are compared by: accuracy, likelihood, calibration. Each is a family of comparisons of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from regtune.analysis.columns import comparison_columns
from regtune.core.metric import ACCURACY, ECE, NLL, Metric
from regtune.results.loader import Results
from regtune.statistics import Comparison, mean_interval
from regtune.statistics.comparisons import compare_with
from regtune.statistics.racing import Race
from regtune.statistics.search_variance import at_least, mean_known

BESIDE = (ACCURACY, NLL, ECE)  # each has verdicts; that of the sweep in a table of its own


def other_metrics(metric: Metric) -> list[Metric]:
    """Return the metrics that verdicts are on beside that of the sweep."""
    return [other for other in BESIDE if other != metric]


def family(results: Results, metric: Metric, *, least: float | None = None) -> dict[str, Comparison]:
    """Return for each other arm its comparison with the first by a metric, over the seeds of both in `compared_scores`.

    Over searches the variance over choices is in each at least the mean of all arms', or `least`.

    They are corrected for the number of arms, and not for that of metrics: each family holds at 5 % by itself. An arm
    that is off is the first one: it counts among the arms and gets no interval.
    """
    over = search_variances(results, metric.test)
    found = compare_with(
        {arm: compared_scores(results, arm, metric) for arm in results.sweep.arms},
        results.sweep.baseline,
        better=metric.better,
        beyond=over and at_least(over, mean_known(over.values()) if least is None else least),
    )
    return found | {arm: as_off(found[arm]) for arm in found if arm in results.off}


def as_off(found: Comparison) -> Comparison:
    """Return what is said of an arm that is off: the difference is 0 by construction."""
    return replace(found, verdict="off is as good", note="")


def compared_scores(results: Results, arm: str, metric: Metric) -> dict[int, float]:
    """Return a metric of the confirmed trials of an arm by which it is compared, by the number of the seed.

    After a race these are, of all metrics but that of the race, the seeds of the first look: every arm has them,
    whatever it scored. Which later ones it has was decided by that one, and what hangs together with it leans with it.
    """
    seeds = None if metric == results.sweep.confirm.metric else first_look(results)
    values = confirmed_scores(results, arm, metric)
    return values if seeds is None else {number: value for number, value in values.items() if number < seeds}


def confirmed_scores(results: Results, arm: str, metric: Metric) -> dict[int, float]:
    """Return a metric of the confirmed trials of an arm that ended well and have it, by the number of the seed."""
    mine = results.confirmed_by_arm.get(arm)
    if mine is None:
        return {}
    values = mine[metric.test]
    rows = zip(mine["number"].to_numpy(), values.to_numpy(), values.notna().to_numpy(), strict=True)
    return {int(number): float(value) for number, value, there in rows if there}


def repeat_means(whole: Sequence[Results], arm: str, metric: Metric) -> dict[int, float]:
    """Return the mean of `compared_scores` in each repeat that has it, by its number: one score a search."""
    values = {results.repeat: compared_scores(results, arm, metric).values() for results in whole}
    return {repeat: fmean(mine) for repeat, mine in values.items() if mine}


def first_look(results: Results) -> int | None:
    """Return after how many seeds a race first looks at its metric; None where there is no race."""
    race = Race.of(results.sweep.confirm)
    return race.looks[0] if race is not None else None


def measured_metrics(repeats: Sequence[Results]) -> list[Metric]:
    """Return the metrics beside that of the sweep that any confirmed trial has: older logs lack some."""
    return [
        metric
        for metric in (other_metrics(repeats[0].sweep.confirm.metric) if repeats else [])
        if any(confirmed_scores(results, arm, metric) for results in repeats for arm in results.sweep.arms)
    ]


def search_variances(results: Results, metric: str, *, corrected: bool = True) -> dict[str, float] | None:
    """Return by arm the variance over searches of its mean difference to the first, by a column of `Results.trials`.

    None where verdicts are about the configuration that was found; else see `searches.Searches.beyond`. A race has that
    of accuracy as it is, not `corrected`.
    """
    return results.search_variances(metric, corrected)


def family_columns(results: Results) -> pd.DataFrame:
    """Return by arm, for each metric beside that of the sweep, the columns of its comparison with the first arm.

    They are those of the verdicts, with `test_loss_`, `test_ece_` or `test_accuracy_` before them. `*_n` counts the
    confirmed seeds that have the metric, `*_pairs` those of the difference, which is in the unit of the metric.
    """
    beside = other_metrics(results.sweep.confirm.metric)
    found = {metric.test: family(results, metric) for metric in beside}
    rows = []
    for arm in results.sweep.arms:
        row: dict[str, Any] = {"arm": arm}
        for metric in beside:
            row[f"{metric.test}_n"] = len(confirmed_scores(results, arm, metric))
            row |= comparison_columns(found[metric.test].get(arm), f"{metric.test}_")
        rows.append(row)
    return pd.DataFrame(rows).set_index("arm")


def repeated_columns(metric: Metric, means: Sequence[float], found: Comparison | None) -> dict[str, Any]:
    """Return the columns of an arm over repeats: of its means in each, and of the comparison with the first arm."""
    mean = mean_interval(means)
    return {
        metric.test: mean.mean,
        f"{metric.test}_sd": mean.sd,
        f"{metric.test}_n": mean.n,
        **comparison_columns(found, f"{metric.test}_"),
    }
