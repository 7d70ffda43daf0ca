"""What pruning cost: how well scores at the rungs rank trials, and how often the best would have been lost."""

from __future__ import annotations

import pandas as pd

from regtune.analysis.pruning import rung_correlations, wrongly_pruned
from regtune.reports.tables._table import Table
from regtune.reports.text import number
from regtune.results.loader import Results

CAPTION = (
    "How far the rungs of this search can be trusted to have pruned the right trials. Shown: Spearman's rank "
    "correlation of the score at a rung with the final one, over the search trials that passed it and ended well. "
    "Pruning has removed the worst trials, so it is lower than over all trials. "
)
CONTROL = (
    "Control: trials that are never pruned. Spared: those of them that the pruner would have ended. Better: "
    "those of the spared that ended better than every trial that it let pass. Best lost %: the probability that the "
    "best of as many trials as the arm has would have been pruned, if they were like its control trials; rough for few "
    "of them. The correlation after the slash is over control trials only, a fair sample."
)
WITHOUT = "How often pruning lost the best can only be told with a control share (control, under [search])."


def pruning_table(results: Results) -> Table | None:
    """Return a row per arm; None where no trial can be pruned at a rung."""
    correlations = rung_correlations(results)
    if correlations.empty:
        return None
    control = wrongly_pruned(results).set_index("arm")
    some = bool(control["control"].any())
    rows: dict[str, dict[str, str]] = {}
    for row in correlations.to_dict("records"):
        text = f"{number(row['correlation'], '.2f')} (n = {row['n']})"
        if some:
            text += f" / {number(row['control_correlation'], '.2f')} (n = {row['control_n']})"
        rows.setdefault(row["arm"], {"arm": row["arm"]})[f"epoch {row['rung']}"] = text
    frame = pd.DataFrame(list(rows.values()))
    if some:
        mine = control.loc[frame["arm"]]
        frame["control"], frame["spared"] = mine["control"].to_numpy(), mine["spared"].to_numpy()
        frame["better"] = mine["best"].to_numpy()
        frame["best lost %"] = [number(100 * chance, ".0f") for chance in mine["chance"]]
    return Table(title="What pruning cost", caption=CAPTION + (CONTROL if some else WITHOUT), frame=frame)
