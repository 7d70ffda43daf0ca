"""Best so far against cost: what search had found after how many epochs."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.core.metric import ACCURACY
from regtune.pruners import pruning_of
from regtune.reports.figures._drawing import Drawing, Nothing, steps
from regtune.results.loader import Results


def frame(results: Results) -> pd.DataFrame:
    """Return arm, epochs spent until then and best validation score in the unit of tables, a row where it changes."""
    metric = results.sweep.search.metric
    may = pruning_of(results.sweep).finishes
    trials = results.of_phase("search").sort_values("number")
    spent = trials.groupby("arm", sort=False)["epochs"].cumsum()
    scores = trials[metric.val].where(trials["status"].isin(may)).astype(float).map(metric.to_maximize)
    best = scores.groupby(trials["arm"], sort=False).cummax()
    best = best.groupby(trials["arm"], sort=False).ffill()  # a pruned trial costs epochs and changes nothing
    rows = pd.DataFrame(
        {"arm": trials["arm"], "spent": spent, "best": metric.factor * best.map(metric.to_maximize)}
    ).dropna()
    by_arm = rows.groupby("arm", sort=False)
    news = (rows["best"] != by_arm["best"].shift()) | (rows["spent"] == by_arm["spent"].transform("last"))
    return rows[news]


def progress(results: Results) -> Drawing | Nothing:
    """How fast the search of each arm improved. Shown: the best validation accuracy so far against the epochs spent,
    pruned trials included (blue), over that of the first arm (grey, dashed). Trials count in the order of their
    numbers, although several may have run at once. These are search scores: the best of many is too good, by what the
    table of confirmed trials shows.
    """
    rows, arms = frame(results), [*results.sweep.arms]
    if rows.empty:
        return Nothing(why="No trial of search has ended well.")
    metric = results.sweep.search.metric
    title = "best so far %" if metric == ACCURACY else f"best so far, {metric.short}{metric.percent}"
    return steps(
        rows,
        [arm for arm in arms if arm == arms[0] or arm in set(rows["arm"])],
        alt.X("spent:Q", title="epochs spent", axis=alt.Axis(tickCount=4)),
        alt.Y("best:Q", title=title, scale=alt.Scale(zero=False)),
        alt.Tooltip("spent:Q"),
        alt.Tooltip("best:Q", format=metric.form),
    )
