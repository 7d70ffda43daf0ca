"""What a sweep cannot be asked for as it is: verdicts over searches, a copy of the baseline, too few or many trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from regtune.core.errors import Refused
from regtune.pruners import PRUNERS, Pruner
from regtune.sweep.schema import MAX_TRIALS, ConfirmConfig, SearchConfig, SelectConfig, SweepFile
from regtune.sweep.seeds import SHIFT

FEWEST = 3  # seeds for an interval, see `statistics.comparisons`


def lacking_over_searches(
    search: SearchConfig, select: SelectConfig, confirm: ConfirmConfig, *, adaptive: bool, pruner: Pruner
) -> str:
    """Return what verdicts over searches lack, as what to change; empty where nothing is lacking.

    `adaptive` says whether the sampler learns from scores: its trials are no independent draws.
    """
    *some, last = [name for name, cls in PRUNERS.all().items() if cls.independent]
    found = {
        f"set select.seeds to 2 or more, given {select.seeds}": select.seeds < 2,
        f"set select.most to 2 or more, given {select.most}": select.most < 2,
        f"set search.repeats to 1, given {search.repeats}, which are over searches by themselves": search.repeats > 1,
        f"take a sampler that learns from no score, as paired, given {search.sampler}": adaptive,
        f"set search.pruner to {', '.join(some)} or {last}, given {search.pruner}": not pruner.independent,
        f"set confirm.seeds to {FEWEST} or more, given {confirm.seeds}": confirm.seeds < FEWEST,
    }
    return _told(found)


def lacking_copy(select: SelectConfig, confirm: ConfirmConfig, *, trials: int) -> str:
    """Return what a hidden copy of the baseline lacks, as what to change; empty where nothing is lacking.

    `trials` is the most that an arm may search: the copy's seeds lie between those of the arms.
    """
    found = {
        f"set confirm.seeds to {FEWEST} or more, given {confirm.seeds}": confirm.seeds < FEWEST,
        f"set confirm.seeds to {SHIFT} or less, given {confirm.seeds}": confirm.seeds > SHIFT,
        f"search at most {SHIFT - select.seeds} trials an arm, given {trials}": trials > SHIFT - select.seeds,
        "leave out confirm.racing": confirm.racing,
    }
    return _told(found)


def _told(found: Mapping[str, bool]) -> str:
    return "; ".join(text for text, is_lacking in found.items() if is_lacking)


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
        raise Refused(
            f"confirm.scope: 'searches' is not possible with these settings: {why}; or set scope to 'configuration'"
        )
    if sweep.confirm.aa and (why := sweep.lacking_copy):
        raise Refused(
            f"confirm.aa: a copy of the baseline is not possible with these settings: {why}; or set aa to false"
        )
