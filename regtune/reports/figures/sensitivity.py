"""Knob sensitivity: the score of every search trial over each knob that was searched."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.distributions import read_all
from regtune.core.metric import Metric
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE, Drawing, Nothing
from regtune.reports.text import knob_name
from regtune.results.loader import Results

MOST_TRIALS = 200  # of an arm
MOST_PANELS = 40
ENDS = {"ok": BLUE, "pruned": ORANGE, "other": GREY}


def frame(results: Results) -> pd.DataFrame:
    """Return arm, knob, value, score as tables have it and how the trial ended; a row per knob of a search trial."""
    trials, metric = results.trials, results.sweep.search.metric
    scored = trials[(trials["phase"] == "search") & trials[metric.val].notna()]
    rows = []
    for arm, mine in scored.groupby("arm", sort=False):
        ranked = mine.sort_values(metric.val)
        even = np.unique(np.linspace(0, len(ranked) - 1, MOST_TRIALS).round().astype(int))
        for trial in ranked.iloc[even].to_dict("records"):
            end = trial["status"] if trial["status"] in ENDS else "other"
            entry = {"arm": arm, "number": trial["number"], "score": metric.factor * trial[metric.val], "end": end}
            rows += [{**entry, "knob": path, "value": value} for path, value in trial["params"].items()]
    return pd.DataFrame(rows, columns=["arm", "number", "score", "end", "knob", "value"])


def sensitivity(results: Results) -> Drawing | Nothing:
    """How the score depends on each knob. Shown: validation accuracy of the search trials over each knob, a panel per
    arm and knob. Circles finished. Crosses were pruned and show their last score, which more epochs would have changed.
    At most 200 trials of an arm are drawn, chosen evenly by the rank of their score, and at most 40 panels.
    """
    rows, metric = frame(results), results.sweep.search.metric
    charts = []
    for arm, entry in results.sweep.arms.items():
        for path, space in read_all(entry.space).items():
            mine = rows[(rows["arm"] == arm) & (rows["knob"] == path)]
            if not mine.empty and not space.single():
                charts.append(_panel(mine, alt.Title(arm, subtitle=knob_name(path)), space, metric))
    if not charts:
        return Nothing(why="No trial of search has a score, or no knob was searched.")
    chart: alt.ConcatChart = alt.concat(*charts[:MOST_PANELS], columns=4).resolve_scale(y="shared")
    return chart


def _panel(rows: pd.DataFrame, title: alt.Title, space: BaseDistribution, metric: Metric) -> alt.Chart:
    x = alt.X("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    if isinstance(space, CategoricalDistribution):
        rows, x = rows.assign(value=rows["value"].map(str)), alt.X("value:N", title=None)
    elif isinstance(space, FloatDistribution | IntDistribution) and space.log:
        ends = alt.Scale(type="log", domain=[space.low, space.high])
        x = alt.X("value:Q", title=None, scale=ends, axis=alt.Axis(tickCount=3, format="~g"))
    paint = alt.Scale(domain=[*ENDS], range=[*ENDS.values()])
    shapes = alt.Scale(domain=[*ENDS], range=["circle", "cross", "diamond"])
    panel: alt.Chart = (
        alt.Chart(rows, title=title)
        .mark_point(size=45, opacity=0.85)
        .encode(
            x=x,
            y=alt.Y("score:Q", title=f"{metric.short}{metric.percent}", scale=alt.Scale(zero=False)),
            color=alt.Color("end:N", scale=paint, title=None),
            shape=alt.Shape("end:N", scale=shapes, title=None),
            tooltip=["number:Q", "value", alt.Tooltip("score:Q", format=metric.form), "end:N"],
        )
        .properties(width=170, height=130)
    )
    return panel
