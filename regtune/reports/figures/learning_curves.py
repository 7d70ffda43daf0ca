"""Learning curves of confirmed and of searched trials: validation accuracy after each epoch."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from regtune.core.records import PhaseName
from regtune.reports.figures._drawing import BLUE, GREY, Drawing, Nothing, panels
from regtune.results.loader import Results

CURVES = 50  # of an arm
EPOCHS = 100  # of a curve: more would be closer than the eye can tell


def confirmed_curves(results: Results) -> Drawing | Nothing:
    """How the confirmed trials of each arm learned. Shown: their validation accuracy, a panel per arm: the median over
    all seeds (thick), the band between the quartiles, and at most 50 single curves (thin), chosen evenly by the rank of
    their last score. Epochs of a second training are left out.
    """
    return _curves(results, "confirm")


def searched_curves(results: Results) -> Drawing | Nothing:
    """How the search trials of each arm learned. Shown: their validation accuracy, a panel per arm. Curves that end
    early were pruned, stopped early or failed. Median (thick) and quartiles are over the trials that still run, so
    they rise where weak ones are pruned. At most 50 single curves of an arm (thin) are drawn, chosen evenly by the
    rank of their last score.
    """
    return _curves(results, "search")


def frame(results: Results, phase: PhaseName) -> pd.DataFrame:
    """Return the chosen curves (kind "curve") and each arm's quartiles by epoch (kind "summary")."""
    metric = results.sweep.search.metric
    columns = ["arm", "phase", "number", "epoch", "stage", metric.val]
    epochs = results.epochs.reindex(columns=columns)
    mine = epochs[(epochs["phase"] == phase) & (epochs["stage"] != "retrain") & epochs[metric.val].notna()]
    mine = mine.assign(score=metric.factor * mine[metric.val].astype(float))[["arm", "number", "epoch", "score"]]
    if mine.empty:
        return mine.assign(kind="", low=np.nan, high=np.nan)
    step = -(-int(mine["epoch"].max()) // EPOCHS)
    thinned = mine[(mine["epoch"] % step == 0) | (mine["epoch"] == 1)]
    last = mine.groupby(["arm", "number"], sort=False)["score"].last().sort_values()
    drawn = pd.concat([_spread(group) for _, group in last.groupby(level="arm", sort=False)]).index
    curves = thinned[pd.MultiIndex.from_frame(thinned[["arm", "number"]]).isin(drawn)].assign(kind="curve")
    quartiles = thinned.groupby(["arm", "epoch"], sort=False)["score"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    quartiles = quartiles.set_axis(["low", "score", "high"], axis=1).reset_index().assign(kind="summary")
    return pd.concat([curves, quartiles])


def _spread(scores: pd.Series[float]) -> pd.Series[float]:
    """Return at most CURVES of the sorted scores, evenly by rank: the lowest and the highest among them."""
    return scores.iloc[np.unique(np.linspace(0, len(scores) - 1, CURVES).round().astype(int))]


def _curves(results: Results, phase: PhaseName) -> Drawing | Nothing:
    rows = frame(results, phase)
    if rows.empty:
        return Nothing(why=f"No trial of {phase} has finished an epoch.")
    arms = [arm for arm in results.sweep.arms if arm in set(rows["arm"])]
    base = alt.Chart().encode(x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickCount=4, format="d")))
    metric = results.sweep.search.metric
    title = f"{metric.short}{metric.percent}"
    score = alt.Y("score:Q", title=title, scale=alt.Scale(zero=False))
    one, summary = base.transform_filter("datum.kind == 'curve'"), base.transform_filter("datum.kind == 'summary'")
    tooltip = ["arm:N", "number:Q", "epoch:Q", alt.Tooltip("score:Q", format=metric.form)]
    hover = alt.selection_point(on="pointerover", fields=["arm", "number"], empty=False, name="hover")
    layers = alt.LayerChart(layer=[
        summary.mark_area(opacity=0.25, color=BLUE).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
        one.mark_line(color=GREY, interpolate="linear").encode(
            y=score, detail="number:N", tooltip=tooltip,
            strokeWidth=alt.when(hover).then(alt.value(2.5)).otherwise(alt.value(0.8)),
            opacity=alt.when(hover).then(alt.value(1.0)).otherwise(alt.value(0.6)),
        ).add_params(hover),
        summary.mark_line(color=BLUE, strokeWidth=2.5).encode(y=score, tooltip=tooltip),
    ], data=rows)  # fmt: skip
    return panels(layers.properties(width=170, height=130), arms)
