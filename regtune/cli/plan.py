"""What a sweep would do: a table of its arms and what it comes to."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from regtune.core.resampling import MOST
from regtune.pruners import Saving
from regtune.samplers.grid import grid_size
from regtune.sweep.searched import doubts, knob_rows
from regtune.sweep.sweep import Sweep

LITTLE = 0.2  # share of all epochs below which pruning is not worth what it may lose


def plan_table(sweep: Sweep) -> Group:
    """Return arms, searched knobs, trials, epochs and rungs, ready to print."""
    table = Table(title="trials of each arm, and its epochs (at most)", title_justify="left")
    table.add_column("arm", no_wrap=True)
    table.add_column("searched knobs", overflow="fold")
    grid = sweep.search.sampler == "grid"
    search, *others = sweep.phases
    for heading in (search, *(("grid points",) if grid else ()), *others, "epochs"):
        table.add_column(heading, justify="right")
    total, most = 0, 0
    for one, arm in sweep.with_copy:
        trials = {phase: one.most_trials(phase, arm) for phase in sweep.phases}
        total += sum(trials.values())
        mine = sum(count * sweep.most_epochs(phase) for phase, count in trials.items())
        most += mine
        searched = ", ".join(f"({path})" if path in arm.when else path for path in arm.space if one.budget(arm))
        points = [f"{grid_size(arm.space, arm.when, sweep.search.levels):,}"] if grid else []
        counts = [str(trials[phase]) for phase in others]
        table.add_row(arm.name, searched, str(one.budget(arm)), *points, *counts, str(mine))
    lines = ["in parentheses: searched only in trials that use the method"] if any(a.when for a in sweep.arms) else []
    pruner, length = sweep.pruner, sweep.training.epochs
    places = ", ".join(map(str, pruner.rungs(length))) or "none"
    lines.append(f"{total} trials, at most {most} epochs; {pruner.stops}: {places}")
    if named := [f"{arm.name} {len(arm.first)}" for arm in sweep.arms if arm.first]:
        lines.append(f"start with named points (first): {', '.join(named)}")
    if saving := pruner.saving(length):
        lines.append(_saving(sweep, saving, most))
    if (repeats := sweep.search.repeats) > 1:
        seeds = f"{sweep.seed} to {sweep.seed + repeats - 1}"
        lines.append(
            f"{repeats} repeats of all this, seed = {seeds}: {repeats * total} trials, at most {repeats * most} epochs"
        )
    if sweep.reuse:
        lines.append(
            f"reuses trials of {', '.join(sweep.reuse)} where they are the same; regtune run --dry-run counts them"
        )
    if sweep.select.seeds:
        terms = sweep.select
        lines.append(
            f"select: the best {terms.candidates} to {terms.most} of each arm on up to {terms.seeds} further seeds; "
            f"the better half stays in from round to round; the table shows the maximum"
        )
    if sweep.scope == "searches":
        lines.append(
            f"rivals: configurations that search and select nearly chose, up to {MOST} of each arm on "
            f"{sweep.rival_seeds} seeds, since verdicts are over searches; the table shows the maximum"
        )
    if off := [arm.name for arm in sweep.arms if sweep.can_be_off(arm)]:
        lines.append(f"not confirmed if select finds that off is as good: {', '.join(off)}")
    if copied := sweep.copied:
        lines.append(
            f"{copied.baseline}: trained on other seeds, to show what verdict luck alone would get (A/A check); "
            f"it is in no table; confirm.aa = false leaves it out"
        )
    if sweep.confirm.racing:
        lines.append(f"racing: confirm takes from {sweep.confirm.first} seeds per arm to as many as the table shows")
    knobs = Table(
        title=Text("knobs: a range [low, high], a list, or a fixed value"), title_justify="left", show_header=False
    )
    knobs.add_column(no_wrap=True)
    knobs.add_column(overflow="fold")
    for name, text in knob_rows(sweep):
        knobs.add_row(name, Text(text))
    return Group(table, knobs, *lines, *(Text(f"note: {text}") for text in doubts(sweep)))


def saved(sweep: Sweep) -> float:
    """Return how many epochs pruning saves at most: what is expected of trials that may end.

    The first trials of an arm and the control share all continue. Trials that run at the same time, early stopping
    and a cautious pruner's doubts leave less.
    """
    saving = sweep.pruner.saving(sweep.training.epochs)
    if saving is None:
        return 0.0
    may_end = sum(max(one.budget(arm) - saving.first, 0) for one, arm in sweep.with_copy)
    return may_end * (1 - sweep.search.control) * (sweep.training.epochs - saving.each)


def _saving(sweep: Sweep, saving: Saving, most: int) -> str:
    """Say what pruning saves at most, and where that is little what to do; `most` is what the sweep takes without."""
    epochs = saved(sweep)
    text = (
        f"pruning saves at most about {epochs:.0f} epochs ({100 * epochs / most:.0f} %): {saving.begins} before it "
        f"begins{saving.more}"
    )
    if epochs < LITTLE * most:
        text += '; this is little, and pruner = "none" is safer'
    return text
