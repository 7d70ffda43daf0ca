"""The baseline of a sweep and its hidden copy as a sweep of their own: `regtune check --aa`."""

from __future__ import annotations

from regtune.core.errors import Refused
from regtune.sweep.scope import lacking_copy
from regtune.sweep.sweep import Sweep


def aa_sweep(sweep: Sweep) -> Sweep:
    """Return a sweep of the first arm and its copy, without repeats; raises Refused where there can be no copy."""
    first = sweep.arms[0]
    if why := lacking_copy(sweep.select, sweep.confirm, trials=sweep.budget(first)):
        raise Refused(f"--aa: a copy of {first.name} is not possible with these settings: {why}")
    search = sweep.search.model_copy(update={"repeats": 1})
    confirm = sweep.confirm.model_copy(update={"aa": True})
    return sweep.model_copy(update={"name": f"{sweep.name}-aa", "arms": (first,), "search": search, "confirm": confirm})
