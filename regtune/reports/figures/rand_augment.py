"""RandAugment's heat map: validation accuracy over number of operations and magnitude."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.reports.figures._drawing import Drawing, Nothing, panels
from regtune.results.loader import Results

NUMBER, MAGNITUDE = "rand_augment.num_ops", "rand_augment.magnitude"


def frame(results: Results) -> pd.DataFrame:
    """Return arm, number of operations, rounded magnitude, the mean score as tables have it, the trials behind it."""
    trials, metric = results.trials, results.sweep.search.metric
    scored = trials[(trials["phase"] == "search") & trials[metric.val].notna()]
    rows = [
        {"arm": arm, "operations": knobs[NUMBER], "magnitude": round(knobs[MAGNITUDE]), "score": metric.factor * score}
        for arm, knobs, score in zip(scored["arm"], scored["params"], scored[metric.val], strict=True)
        if NUMBER in knobs and MAGNITUDE in knobs
    ]
    cells = pd.DataFrame(rows, columns=["arm", "operations", "magnitude", "score"])
    by_cell = cells.groupby(["arm", "operations", "magnitude"], sort=False)["score"]
    return by_cell.agg(score="mean", trials="count").reset_index()


def magnitudes(results: Results) -> Drawing | Nothing:
    """How RandAugment's two knobs work together: mean validation accuracy, in percent, of the search trials by number
    of operations N and magnitude M (rounded), a panel per arm that searched both. Pruned trials count with their last
    score; empty cells were not tried.
    """
    rows = frame(results)
    if rows.empty:
        return Nothing(why="No arm searched both of RandAugment's knobs.")
    arms = [arm for arm in results.sweep.arms if arm in set(rows["arm"])]
    metric = results.sweep.search.metric
    middle = (rows["score"].min() + rows["score"].max()) / 2
    base = alt.Chart().encode(
        x=alt.X("magnitude:O", title="M", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("operations:O", title="N", sort="descending"),
        tooltip=["operations:O", "magnitude:O", alt.Tooltip("score:Q", format=metric.form), "trials:Q"],
    )
    colour = alt.Color("score:Q", scale=alt.Scale(scheme="cividis"), title=metric.head("validation"))
    ink = alt.when(alt.datum.score > middle).then(alt.value("#000000")).otherwise(alt.value("#ffffff"))
    text = base.mark_text(fontSize=10).encode(
        text=alt.Text("score:Q", format=".0f" if metric.percent else ".2f"), color=ink
    )
    layers = alt.LayerChart(layer=[base.mark_rect().encode(color=colour), text], data=rows)
    return panels(layers.properties(width=280, height=110), arms)
