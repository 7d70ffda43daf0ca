"""All-pairs matrix: every arm against every other."""

from __future__ import annotations

from itertools import combinations

import altair as alt
import pandas as pd

from regtune.reports.figures._drawing import BLUE, GREY, ORANGE, Drawing, Nothing
from regtune.results.loader import Results
from regtune.statistics import compare

VERDICTS = {"better": (BLUE, " ▲"), "worse": (ORANGE, " ▼"), "unresolved": (GREY, "")}
MOST = 20  # arms: beyond that no cell can be read


def frame(results: Results) -> pd.DataFrame:
    """Return row arm, column arm, the mean paired difference in the unit of tables, pairs, Holm's p and the verdict."""
    confirmed, metric = results.confirmed, results.sweep.confirm.metric
    values = confirmed.pivot(index="number", columns="arm", values=metric.test).astype(float)
    scores = values if metric.better == "higher" else 0.0 - values
    arms = [arm for arm in results.sweep.arms if arm in scores]
    named = {f"{i} {j}": (arms[i], arms[j]) for i, j in combinations(range(len(arms)), 2)}
    compared = compare({key: (scores[a] - scores[b]).dropna().to_list() for key, (a, b) in named.items()})
    rows = []
    for key, (a, b) in named.items():
        found = compared[key]
        if not found.n:
            continue
        turned = {"better": "worse", "worse": "better", "unresolved": "unresolved"}[found.verdict]
        shown = metric.factor * metric.to_maximize(found.mean)
        both = {"pairs": found.n, "p_holm": found.p_holm}
        rows.append({"row": a, "column": b, "difference": shown, "verdict": found.verdict, **both})
        rows.append({"row": b, "column": a, "difference": -shown, "verdict": turned, **both})
    return pd.DataFrame(rows, columns=["row", "column", "difference", "verdict", "pairs", "p_holm"])


def pairs(results: Results) -> Drawing | Nothing:
    """Which arms differ from which. Shown: the mean paired difference in test accuracy, in points, row minus column.
    ▲ and a blue cell: the row's arm is better; ▼ and an orange cell: worse; grey: unresolved. Verdicts are paired
    t-tests with Holm's correction over all pairs. There are more pairs than comparisons with the first arm, so fewer
    verdicts can be given.
    """
    if results.sweep.confirm.racing:
        return Nothing(why="After a race only comparisons with the first arm are valid: the error was split for those.")
    rows, arms = frame(results), [*results.sweep.arms]
    if rows.empty:
        return Nothing(why="No two arms share a confirmed seed.")
    if rows["row"].nunique() > MOST:
        return Nothing(why=f"More than {MOST} arms: a matrix of all pairs could not be read.")
    marks = rows["verdict"].map({verdict: mark for verdict, (_, mark) in VERDICTS.items()})
    metric = results.sweep.confirm.metric
    digits = 1 if metric.percent else 2
    text = rows["difference"].round(digits).map(f"{{:+.{digits}f}}".format)
    rows["text"] = text.str.replace(f"{-0.0:.{digits}f}", f"{0.0:+.{digits}f}") + marks
    present = [verdict for verdict in VERDICTS if verdict in set(rows["verdict"])]
    scale = alt.Scale(domain=present, range=[VERDICTS[verdict][0] for verdict in present])
    base = alt.Chart(rows).encode(
        x=alt.X("column:N", sort=arms, title="minus", axis=alt.Axis(orient="top", labelAngle=-40)),
        y=alt.Y("row:N", sort=arms, title=None),
        tooltip=[
            "row:N", "column:N", alt.Tooltip("difference:Q", format=f"+{metric.form}"), "pairs:Q",
            alt.Tooltip("p_holm:Q", format=".3g"), "verdict:N",
        ],
    )  # fmt: skip
    cells = base.mark_rect(opacity=0.35).encode(color=alt.Color("verdict:N", scale=scale, title=None))
    text = base.mark_text(fontSize=10).encode(text="text:N")
    return alt.LayerChart(layer=[cells, text]).properties(width=alt.Step(46), height=alt.Step(28))
