"""What a sweep would do: a table of its arms and what it comes to."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from regtune.board import rungs
from regtune.sweep import Sweep


def planned(sweep: Sweep) -> Group:
    """Return arms, searched knobs, trials, epochs and rungs, ready to print."""
    table = Table(title="trials of each arm, and its epochs at most", title_justify="left")
    table.add_column("arm", no_wrap=True)
    table.add_column("searched knobs", overflow="fold")
    for heading in ("search", "confirm", "epochs"):
        table.add_column(heading, justify="right")
    epochs, total, most = sweep.training.epochs, 0, 0
    for arm in sweep.arms:
        trials = sweep.budget(arm) + sweep.confirm.seeds
        total += trials
        mine = sweep.budget(arm) * epochs + sweep.confirm.seeds * sweep.confirm_epochs
        most += mine
        searched = ", ".join(f"({path})" if path in arm.when else path for path in arm.space)
        table.add_row(arm.name, searched, str(sweep.budget(arm)), str(sweep.confirm.seeds), str(mine))
    lines = (
        ["in brackets: searched only in trials whose recipe has the method"] if any(a.when for a in sweep.arms) else []
    )
    places = ", ".join(map(str, rungs(epochs, sweep.search))) or "none"
    lines.append(f"{total} trials, at most {most} epochs; pruning after epochs: {places}")
    return Group(table, *lines)
