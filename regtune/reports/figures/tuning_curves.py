"""Tuning curves: the score of the best of n search trials, over n."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import pandas as pd

from regtune.analysis.tuning import curve, search_shares
from regtune.core.metric import ACCURACY
from regtune.reports.figures._drawing import BLUE, GREY, Drawing, Nothing, beside_first, panels
from regtune.results.loader import Results
from regtune.statistics.tuning import round_budgets

MOST = 60  # points of a curve
COLUMNS = ["arm", "n", "best", "low", "high"]


def frame(results: Results) -> pd.DataFrame:
    """Return arm, n, the median score of the best of n trials and its band, as tables have it; NaN without one.

    Every n up to 20, then 60 at most, evenly on the scale of the figure.
    """
    rows, metric = [], results.sweep.search.metric
    for arm, scores in search_shares(results).items():
        even = np.geomspace(1, max(len(scores), 1), MOST).round().astype(int)
        places = sorted({*even.tolist(), *range(1, min(len(scores), 20) + 1)})
        found = curve(results, arm, scores, places)
        points = found.points.items() if found else ()
        rows += [(arm, n, *(metric.factor * value for value in values)) for n, values in points]
    frame = pd.DataFrame(rows, columns=COLUMNS).replace(math.inf, math.nan)  # how bad it may be is not known
    return frame[frame["best"].notna()].reset_index(drop=True)


def tuning_curves(results: Results) -> Drawing | Nothing:
    """How much search each arm needs: where two curves meet, that many trials make up for the arm. Shown: validation
    accuracy of the best of n search trials, as the median over which n trials these are (blue), with its simultaneous
    95 % band where there is one, over that of the first arm (grey, dashed). Panels are cut where bands are wider. The
    table of tuning curves has the ends of the bands, and says what they mean or why there are none.
    """
    rows, arms = frame(results), [*results.sweep.arms]
    if rows.empty:
        return Nothing(why="No trial of search has ended well.")
    names = ["this arm", arms[0]]
    scale, dashes = alt.Scale(domain=names, range=[BLUE, GREY]), alt.Scale(domain=names, range=[[1, 0], [4, 3]])
    most, least = float(rows["best"].max()), float(rows["best"].min())
    metric = results.sweep.search.metric
    room = max(0.5 * (most - least), 0.01 * metric.factor)
    top = min(most + room, 100.0) if metric.percent else most + room
    ends = alt.Scale(domain=[max(least - room, 0.0), top], nice=False)
    best = f"best of n{' %' if metric == ACCURACY else f', {metric.short}{metric.percent}'}"
    axis = alt.Axis(values=round_budgets(int(rows["n"].max())), format="d", labelOverlap=True)
    x = alt.X("n:Q", title="search trials", scale=alt.Scale(type="log", nice=False), axis=axis)
    own = alt.Chart().encode(x=x).transform_filter("datum.line == 'this arm'")
    both = alt.Chart().encode(x=x, y=alt.Y("best:Q", title=best, scale=ends))
    tooltip = [
        "arm:N",
        "line:N",
        "n:Q",
        *(alt.Tooltip(f"{name}:Q", format=metric.form) for name in ("best", "low", "high")),
    ]
    layers = [
        both.mark_line(strokeWidth=2, clip=True).encode(
            color=alt.Color("line:N", scale=scale, title=None),
            strokeDash=alt.StrokeDash("line:N", scale=dashes, title=None),
        ),
        both.mark_point(filled=True, size=20, color=BLUE, clip=True)
        .encode(tooltip=tooltip)
        .transform_filter("datum.line == 'this arm'"),
    ]
    if rows["low"].notna().any():
        band = own.mark_area(opacity=0.2, color=BLUE, clip=True)
        layers.insert(0, band.encode(y=alt.Y("low:Q", title=best, scale=ends), y2="high:Q"))
    drawn = [arm for arm in arms if arm == arms[0] or arm in set(rows["arm"])]
    chart = alt.LayerChart(layer=layers, data=beside_first(rows, arms))
    return panels(chart.properties(width=170, height=120), drawn)
