"""The pruner that a sweep file names: its settings in `[search]`, and what goes with it."""

from __future__ import annotations

from collections.abc import Sequence

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import knobs, read_settings
from regtune.core.own_code import own_errors
from regtune.pruners import PRUNERS, Pruner
from regtune.sweep.schema import SearchConfig


def read_pruner(search: SearchConfig, plugins: Sequence[str]) -> Pruner:
    """Return the pruner; raises Refused for an unknown one, or settings that are not its own."""
    cls = PRUNERS.find(search.pruner, "search.pruner", plugins)
    known, own = knobs(cls), search.model_extra or {}
    for name in own:
        if name not in known:
            settings = dict.fromkeys([*SearchConfig.model_fields, *known])
            raise Refused(f"search.{name}: unknown setting{nearest(name, settings)}")
    shared = {name: getattr(search, name) for name in sorted(search.model_fields_set) if name in known}
    with own_errors(f"search.pruner {search.pruner}"):
        return cls(**read_settings(cls, shared | own, "search"))


def check_search(search: SearchConfig, epochs: int, plugins: Sequence[str]) -> None:
    """Raise Refused for settings of search that do not go together, or with so many epochs."""
    pruner = read_pruner(search, plugins)
    if (search.trials is None) == (search.trials_per_knob is None):
        raise Refused("search: expected one of trials and trials_per_knob, given both or none")
    known = PRUNERS.all(plugins)
    if ("stop_after" in knobs(type(pruner))) != (search.stop_after is not None):
        given = "nothing" if search.stop_after is None else search.stop_after
        takers = _either([name for name, cls in known.items() if "stop_after" in knobs(cls)])
        raise Refused(
            f"search.stop_after: expected with pruner = {takers} and only there, given {given} "
            f'with pruner = "{search.pruner}"'
        )
    if search.control and not pruner.at_rungs:
        judges = _either([name for name, cls in known.items() if cls.at_rungs])
        raise Refused(
            f'search.control: expected with pruner = {judges} only, given it with "{search.pruner}"; drop one'
        )
    if search.stop_after is not None and search.stop_after > epochs:
        raise Refused(f"search.stop_after: expected a number in [1, {epochs}], the epochs, given {search.stop_after}")
    with own_errors(f"search.pruner {search.pruner}"):
        rungs = pruner.rungs(epochs)
    if not isinstance(rungs, tuple) or not all(type(rung) is int and 1 <= rung <= epochs for rung in rungs):
        raise Refused(
            f"search.pruner {search.pruner}: expected rungs, a tuple of epochs from 1 to {epochs}, given {shown(rungs)}"
        )


def _either(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)
