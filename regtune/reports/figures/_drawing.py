"""What all figures share: colours, panels, and a chart or the reason why there is none.

Colours are of Okabe and Ito's, made for colour-blind readers. No arm is told by its colour: it has a row, a
column or a panel with its name, however many arms there are; verdicts and ends of trials have shapes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import altair as alt
import pandas as pd

from regtune.core.records import Json

GREY, BLUE, ORANGE = "#808080", "#0072B2", "#D55E00"
SKY = "#56B4E9"  # instead of the blue on a dark page
WIDTH = 560  # of a chart on paper; on the page a chart is as wide as its box

Drawing: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Why a figure is not drawn, in one sentence."""

    why: str


def panels(chart: alt.Chart | alt.LayerChart, arms: Sequence[str]) -> alt.FacetChart:
    """Return a panel per arm, named above it; the page sets how many stand in a row."""
    return chart.facet(facet=alt.Facet("arm:N", sort=[*arms], title=None), columns=4)


def beside_first(rows: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Return the rows of each arm and, for its panel, those of the first arm again; `line` says which is which."""
    first = rows[rows["arm"] == arms[0]]
    others = [arm for arm in arms[1:] if arm in set(rows["arm"])]
    again = [first.assign(arm=arm, line=arms[0]) for arm in others]
    return pd.concat([rows.assign(line="this arm"), *again])


def steps(rows: pd.DataFrame, arms: Sequence[str], x: alt.X, y: alt.Y, *more: alt.Tooltip) -> alt.FacetChart:
    """Return a panel per arm with its staircase (blue) over that of the first arm (grey, dashed)."""
    names = ["this arm", arms[0]]
    scale, dashes = alt.Scale(domain=names, range=[BLUE, GREY]), alt.Scale(domain=names, range=[[1, 0], [4, 3]])
    base = alt.Chart().encode(x=x, y=y, color=alt.Color("line:N", scale=scale, title=None))
    lines = base.mark_line(interpolate="step-after", strokeWidth=2)
    points = base.mark_point(filled=True, size=30).encode(tooltip=[alt.Tooltip("arm:N"), alt.Tooltip("line:N"), *more])
    layers = alt.LayerChart(
        layer=[
            lines.encode(strokeDash=alt.StrokeDash("line:N", scale=dashes, title=None)),
            points.transform_filter("datum.line == 'this arm'"),
        ],
        data=beside_first(rows, arms),
    )
    return panels(layers.properties(width=170, height=120), arms)


def light() -> Json:
    """Return the configuration for a light page."""
    return _config(ink="#333333", faint="#dddddd", font="system-ui, sans-serif") | {"background": "transparent"}


def dark() -> Json:
    """Return the configuration for a dark page."""
    return _config(ink="#d8d8d8", faint="#3a3a3a", font="system-ui, sans-serif") | {"background": "transparent"}


def paper() -> Json:
    """Return the configuration for SVG and PDF."""
    return _config(ink="#222222", faint="#dddddd", font="sans-serif") | {"background": "white"}


def _config(*, ink: str, faint: str, font: str) -> Json:
    words = {"labelColor": ink, "titleColor": ink, "titleFontWeight": "normal"}
    return {
        "font": font,
        "view": {"stroke": None},
        "axis": {**words, "domainColor": faint, "tickColor": faint, "gridColor": faint, "labelLimit": 150},
        "legend": {**words, "orient": "bottom", "direction": "horizontal", "columns": 3, "labelLimit": 150},
        "header": {**words, "labelFontWeight": "bold", "labelLimit": 170},
        "title": {"color": ink, "subtitleColor": ink, "fontSize": 11, "anchor": "start", "limit": 170},
        "text": {"color": ink},
    }
