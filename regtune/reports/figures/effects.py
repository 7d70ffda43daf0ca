"""Forest plot: what each arm does to the test score, and how sure that is."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.reports.figures._drawing import BLUE, GREY, ORANGE, WIDTH, Drawing, Nothing
from regtune.reports.tables.catalog import Tables

VERDICTS = {
    "better": (BLUE, "triangle-up"),
    "worse": (ORANGE, "triangle-down"),
    "unresolved": (GREY, "circle"),
    "off is as good": (GREY, "square"),
    "no interval": (GREY, "cross"),
}


def frame(found: Tables) -> pd.DataFrame:
    """Return arm, difference with its ends, over seeds and over seeds x examples, as tables have it; pairs, verdict.

    Arms without a difference are left out.
    """
    table = found.rows[found.rows["difference"].notna()]
    ends = ["difference", "difference_low", "difference_high", "crossed_low", "crossed_high"]
    points = (found.results.sweep.confirm.metric.factor * table[ends]).rename(
        columns={"difference_low": "low", "difference_high": "high"}
    )
    said = points["low"].notna() | (table["verdict"] == "off is as good")
    verdict = table["verdict"].where(said, "no interval")
    return pd.concat([table[["arm", "pairs", "p_holm"]], points], axis=1).assign(verdict=verdict)


def effects(found: Tables) -> Drawing | Nothing:
    """Which arms differ from the first, and by how much. Shown: the difference to the first arm in test accuracy, in
    points, as the mean over paired seeds with its simultaneous 95 % interval. Dotted, where the log has it: the
    interval at the same confidence with test examples resampled too. Triangles are verdicts (up: better, down: worse);
    a circle is unresolved; a square is an arm for which off is as good. A cross has too few seeds, or seeds too alike,
    for an interval.
    """
    rows, baseline = frame(found), found.results.sweep.baseline
    if rows.empty:
        return Nothing(why=f"No arm shares a confirmed seed with {baseline}, so there is no difference to draw.")
    metric = found.results.sweep.confirm.metric
    form = f"+{metric.form}"
    tooltip = [
        alt.Tooltip("arm:N"), alt.Tooltip("difference:Q", format=form), alt.Tooltip("low:Q", format=form),
        alt.Tooltip("high:Q", format=form), alt.Tooltip("pairs:Q"), alt.Tooltip("p_holm:Q", format=".3g"),
        alt.Tooltip("verdict:N"),
    ]  # fmt: skip
    present = [verdict for verdict in VERDICTS if verdict in set(rows["verdict"])]
    paint = alt.Scale(domain=present, range=[VERDICTS[verdict][0] for verdict in present])
    forms = alt.Scale(domain=present, range=[VERDICTS[verdict][1] for verdict in present])
    base = alt.Chart(rows).encode(y=alt.Y("arm:N", sort=rows["arm"].to_list(), title=None), tooltip=tooltip)
    legend = alt.Color("verdict:N", scale=paint, title=None)
    shape = alt.Shape("verdict:N", scale=forms, title=None)
    title = f"difference to {baseline} in {metric.unit}{metric.sign}"
    axis = alt.Axis(tickCount=8)
    crossed = base.transform_filter("isValid(datum.crossed_low)").mark_rule(color=GREY, strokeDash=[1, 3])
    whiskers = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    return alt.layer(
        alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=GREY, strokeDash=[3, 3]).encode(x="zero:Q"),
        crossed.encode(x=alt.X("crossed_low:Q", title=title, axis=axis), x2="crossed_high:Q"),
        whiskers.encode(x=alt.X("low:Q", title=title, axis=axis), x2="high:Q", color=legend),
        base.mark_point(size=90, filled=True, opacity=1).encode(x="difference:Q", color=legend, shape=shape),
    ).properties(width=WIDTH, height=alt.Step(28))
