"""Rung survival: which share of an arm's search trials was still in the race after each epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.core.records import OPEN
from regtune.reports.figures._drawing import Drawing, Nothing, steps
from regtune.results.loader import Results


def frame(results: Results) -> pd.DataFrame:
    """Return arm, epoch and the share in percent of its ended search trials that had not dropped out by then."""
    trials = results.of_phase("search")
    ended = trials[~trials["status"].isin(OPEN)]
    rows = []
    for arm, mine in ended.groupby("arm", sort=False):
        dropped = mine[mine["status"] != "ok"]["epochs"].value_counts().sort_index()
        last = results.sweep.arms[str(arm)].template["epochs"]
        left = len(mine) - dropped.cumsum()
        steps = {0: len(mine), **left.to_dict(), last: len(mine) - len(dropped.index.repeat(dropped))}
        rows += [{"arm": arm, "epoch": epoch, "share": 100 * n / len(mine), "left": n} for epoch, n in steps.items()]
    return pd.DataFrame(rows, columns=["arm", "epoch", "share", "left"])


def survival(results: Results) -> Drawing | Nothing:
    """How many search trials each arm still had after an epoch: the share that was neither pruned nor failed until
    then. A trial that ended by its own rule, as by early stopping, counts to the end. Blue: the arm; grey and dashed:
    the first arm. Each arm is pruned against its own trials only, so lines differ by how clearly its trials differ,
    not by how good it is.
    """
    rows, arms = frame(results), [*results.sweep.arms]
    if rows.empty:
        return Nothing(why="No trial of search has ended.")
    return steps(
        rows,
        [arm for arm in arms if arm == arms[0] or arm in set(rows["arm"])],
        alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", tickCount=4)),
        alt.Y("share:Q", title="trials left %", scale=alt.Scale(domain=[0, 100])),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("share:Q", format=".0f"),
        alt.Tooltip("left:Q"),
    )
