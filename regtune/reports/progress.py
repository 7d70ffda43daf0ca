"""Best so far against cost: what search had found after how many epochs."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.choice import finishes, pruner_of
from regtune.reports.drawing import Drawing, Nothing, steps
from regtune.store import Results


def frame(results: Results) -> pd.DataFrame:
    """Return arm, epochs spent until then and best validation accuracy in percent, a row where the best rises."""
    may = finishes(pruner_of(results.sweep["search"]))
    trials = results.trials[results.trials["phase"] == "search"].sort_values("number")
    spent = trials.groupby("arm", sort=False)["epochs"].cumsum()
    scores = trials["val_accuracy"].where(trials["status"].isin(may)).astype(float)
    best = scores.groupby(trials["arm"], sort=False).cummax()
    best = best.groupby(trials["arm"], sort=False).ffill()  # a pruned trial costs epochs and changes nothing
    rows = pd.DataFrame({"arm": trials["arm"], "spent": spent, "best": 100 * best}).dropna()
    by_arm = rows.groupby("arm", sort=False)
    news = (rows["best"] != by_arm["best"].shift()) | (rows["spent"] == by_arm["spent"].transform("last"))
    return rows[news]


def progress(results: Results) -> Drawing | Nothing:
    """Best validation accuracy that the search of each arm had found, against the epochs that it had spent, pruned
    trials included (blue), over that of the first arm (grey, dashed). Trials count in the order of their numbers,
    although several may have run at once. These are search scores: the best of many is too good, by what the table
    of confirmed trials shows.
    """
    rows, arms = frame(results), [*results.sweep["arms"]]
    if rows.empty:
        return Nothing(why="No trial of search has ended well.")
    return steps(
        rows,
        [arm for arm in arms if arm == arms[0] or arm in set(rows["arm"])],
        alt.X("spent:Q", title="epochs spent", axis=alt.Axis(tickCount=4)),
        alt.Y("best:Q", title="best so far %", scale=alt.Scale(zero=False)),
        alt.Tooltip("spent:Q"),
        alt.Tooltip("best:Q", format=".2f"),
    )
