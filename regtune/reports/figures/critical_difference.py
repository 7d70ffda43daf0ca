"""Critical-difference diagram: arms by mean rank over sweeps, and which of them are told apart."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.analysis.sweeps import SweepsTogether
from regtune.reports.figures._drawing import BLUE, GREY, WIDTH, Drawing, Nothing

MOST = 40  # arms: beyond that the bars would leave no room for the points
BAR = 0.05  # of the width, for each column of bars
MARGIN = 0.03  # of the width, before rank 1: a point there must not lie on its arm's name
WORD = 20  # letters in a line of a long name


def two_lines(name: str) -> str:
    """Return a name with a line break where it is long, behind a joint if there is one."""
    line = " ".join(name.splitlines())
    cut = max(line.rfind(joint, 0, WORD) for joint in "_- ") + 1
    cut = cut if cut > WORD // 3 else WORD
    return line if len(line) <= WORD else f"{line[:cut]}\n{line[cut:]}"


def groups(mean: pd.Series[float], reach: float) -> list[list[str]]:
    """Return the largest groups of arms, from the best rank on, in which no two are farther apart than `reach`."""
    ordered = mean.sort_values(kind="stable")
    values, arms, found = ordered.to_list(), [str(arm) for arm in ordered.index], []
    end = 0
    for start in range(len(arms)):
        stop = max(k for k in range(start, len(arms)) if values[k] - values[start] <= reach) + 1
        if stop > end and stop - start > 1:
            found.append(arms[start:stop])
        end = max(end, stop)
    return found


def bar_columns(members: list[list[str]], arms: list[str]) -> list[int]:
    """Return a column for the bar of each group, as few as there can be; bars in one column share no arm."""
    ends: list[int] = []
    found = []
    for group in members:  # in the order of their first arms
        start, stop = arms.index(group[0]), arms.index(group[-1])
        column = next((k for k, end in enumerate(ends) if end < start), len(ends))
        ends[column:] = [stop, *ends[column + 1 :]]
        found.append(column)
    return found


def critical(found: SweepsTogether) -> Drawing | Nothing:
    """Which arms can be told apart over the sweeps: those without a common bar. Shown: mean ranks, 1 the best. A bar at
    the right joins arms that are not told apart. Either their mean ranks differ by no more than Nemenyi's critical
    difference, whose length is drawn at the top, or Friedman's test, which comes first, does not reject (both at 5 %).
    After J. Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets" (2006).
    """
    ranks = found.ranks
    if ranks.note:
        return Nothing(why=f"There is no critical difference: {ranks.note}.")
    if len(ranks.mean) > MOST:
        return Nothing(why=f"More than {MOST} arms: their bars could not be read.")
    mean = ranks.mean.sort_values(kind="stable")
    arms = [str(arm) for arm in mean.index]
    members = groups(mean, found.reach)
    places = bar_columns(members, arms)
    count = max(places, default=0) + 1
    bar = min(BAR, 0.5 / (count + 1))
    span = (len(arms) - 1) / (1 - bar * (count + 1) - MARGIN)
    rows = [two_lines(arm) for arm in arms]
    points = pd.DataFrame({"arm": arms, "row": rows, "mean rank": mean.to_list()})
    bars = pd.DataFrame(
        [
            {"row": two_lines(arm), "group": number, "at": len(arms) + span * bar * (place + 1)}
            for number, (group, place) in enumerate(zip(members, places, strict=True))
            for arm in group
        ],
        columns=["row", "group", "at"],
    )
    right = 1 + span * (1 - MARGIN)
    scale = alt.Scale(domain=[1 - span * MARGIN, right], nice=False, zero=False)
    y = alt.Y(
        "row:N", sort=rows, title=None,
        axis=alt.Axis(labelExpr="split(datum.label, '\\n')", labelLineHeight=11, grid=True, domain=False, ticks=False),
    )  # fmt: skip
    ticks = alt.Axis(values=[*range(1, len(arms) + 1)], format="d", domain=False, labelOverlap=True)
    shown = [alt.Tooltip("arm:N"), alt.Tooltip("mean rank:Q", format=".2f")]
    joined = alt.Chart(bars).mark_line(color=GREY, strokeWidth=5, strokeCap="round")
    words = alt.Chart(pd.DataFrame({"at": [right], "text": ["not told apart"]}))
    return alt.layer(
        joined.encode(x=alt.X("at:Q", scale=scale), y=y, detail="group:N"),
        alt.Chart(points)
        .mark_point(filled=True, size=90, opacity=1, color=BLUE)
        .encode(x=alt.X("mean rank:Q", title="mean rank", axis=ticks, scale=scale), y=y, tooltip=shown),
        *_ruler(ranks.critical, scale),
        words.mark_text(align="right", baseline="bottom").encode(
            x=alt.X("at:Q", scale=scale), y=alt.value(-4), text="text:N"
        ),
    ).properties(width=WIDTH, height=alt.Step(26))


def _ruler(length: float, scale: alt.Scale) -> list[alt.Chart]:
    """Return the critical difference as a length of the axis, above the points."""
    text = f"critical difference {length:.2f}"
    ruler = alt.Chart(pd.DataFrame({"from": [1.0], "to": [1 + length], "text": [text]}))
    line, begin, end = (
        ruler.mark_rule(color=GREY, strokeWidth=2),
        alt.X("from:Q", scale=scale),
        alt.X("to:Q", scale=scale),
    )
    above, height, below = (alt.value(pixels) for pixels in (-28, -24, -20))
    return [
        line.encode(x=begin, x2="to:Q", y=height),
        *(line.encode(x=side, y=above, y2=below) for side in (begin, end)),
        ruler.mark_text(align="left", baseline="bottom").encode(x=begin, y=alt.value(-30), text="text:N"),
    ]
