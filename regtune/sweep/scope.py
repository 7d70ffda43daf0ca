"""When verdicts may be over searches: where other trials of the same search can be imagined, and seen to choose.

And when a sweep may have a hidden copy of its baseline beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from regtune.pruners import PRUNERS, Pruner
from regtune.sweep.schema import Confirm, Search, Select
from regtune.sweep.seeds import SHIFT

FEWEST = 3  # seeds for an interval, see `statistics.comparisons`


def lacking(search: Search, select: Select, confirm: Confirm, *, adaptive: bool, pruner: Pruner) -> str:
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


def lacking_copy(select: Select, confirm: Confirm, *, trials: int) -> str:
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
