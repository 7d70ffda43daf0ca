"""What cannot be asked for together in a sweep, though each setting by itself is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regtune.core.errors import Refused
from regtune.sweep.schema import MAX_TRIALS, SweepFile

if TYPE_CHECKING:
    from regtune.sweep.sweep import Sweep


def check_sweep(sweep: Sweep, file: SweepFile) -> None:
    """Raise Refused for budgets out of bounds, and for what a sweep is asked for and cannot have as it is."""
    for arm in sweep.arms:
        most = MAX_TRIALS - file.select.seeds  # whose seeds lie between those of search and confirm
        path = "trials" if file.search.trials else "trials_per_knob"
        if sweep.budget(arm) > most:
            raise Refused(
                f"search.{path}: expected at most {most} trials an arm, "
                f"given {sweep.budget(arm)} for {arm.name}, which searches {len(arm.space)} knobs"
            )
        if sweep.budget(arm) < len(arm.first):
            raise Refused(
                f"search.{path}: expected at least the {len(arm.first)} points that are named first for {arm.name}, "
                f"given {sweep.budget(arm)} trials; raise it or name fewer"
            )
    if sweep.confirm.scope == "searches" and (why := sweep.lacking_scope):
        raise Refused(f"confirm.scope: 'searches' cannot be had as it is: {why}; or set scope to 'configuration'")
    if sweep.confirm.aa and (why := sweep.lacking_copy):
        raise Refused(f"confirm.aa: a copy of the baseline cannot be had as it is: {why}; or set aa to false")
