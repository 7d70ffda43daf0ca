"""The table of what search found at equal total cost, and its words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from regtune.analysis.columns import Row
from regtune.analysis.comparison import Analysis
from regtune.analysis.equal_cost import equal_cost
from regtune.core.metric import Metric
from regtune.reports.tables._table import Table
from regtune.reports.text import number

CAPTION = (
    "What search found at equal total cost; not which arm is better, which confirm tells. Shown: {score} of the best "
    "of as many search trials as the cost at the head of a column pays for, n, as the median over which trials these "
    "are. Heads are what all of search took the cheapest arm, {first}, and the dearest. {counted} The best of many "
    "scores is too good. all: the arm had no more trials, and more of them might have found more. A dash: that cost "
    "does not pay for one trial."
)
COUNTED = {
    "examples": "Counted are examples whose gradient was evaluated (an update of SAM counts twice), and those of "
    "pretraining, which search trials of other seeds each have of their own. Further passes through the network, as of "
    "a second task, and pictures without labels beside a batch are not; seconds have them.",
    "seconds": "Counted are seconds of training, of measuring after each epoch and of pretraining, which search trials "
    "of other seeds each have of their own, as the machines were, other work on them included.",
}


def equal_cost_rows(analysis: Analysis, cost: str) -> pd.DataFrame:
    """Return the frame of `equal_cost` of a log."""
    return equal_cost(analysis.results, analysis.budget_by_phase, cost)


def equal_cost_table(analysis: Analysis, rows: pd.DataFrame, cost: str) -> Table:
    """Return the table of a frame that has the columns of `equal_cost`."""
    metric, form = analysis.results.sweep.search.metric, ",.0f" if cost == "examples" else ",.1f"
    columns = {"arm": rows["arm"].to_list()}
    cells: Sequence[Row] = rows.to_dict("records")
    for k in range(1, 1 + sum(str(name).startswith("level_") for name in rows)):
        columns[f"{rows[f'level_{k}'].max():{form}} {cost}"] = [_cell(row, k, metric) for row in cells]
    columns |= {name: [number(value, form) for value in rows[name]] for name in ("trial", "pretraining", "total")}
    first = analysis.results.sweep.baseline
    return Table(
        title=f"Best of search at equal {cost}",
        caption=CAPTION.format(score=metric.measured("validation"), first=first, counted=COUNTED[cost]),
        frame=pd.DataFrame(columns),
    )


def _cell(row: Row, k: int, metric: Metric) -> str:
    """Return the best score, and of how many trials; a dash where the cost does not pay for one."""
    if math.isnan(row[f"best_{k}"]):
        return "–"
    return f"{metric.rough(row[f'best_{k}'])} (n = {row[f'trials_{k}']:.0f}{', all' if row[f'all_{k}'] else ''})"
