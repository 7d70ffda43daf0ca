"""A method in an arm's table of a sweep file: its knobs, and whether it is in the recipe at all.

dropout = {}                                always in, knobs searched in their own spaces
dropout = { switch = true, p_input = 0.1 }  whether it is in is searched too
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from regtune.core.errors import Refused, shown
from regtune.core.knobs import knobs
from regtune.core.records import SWITCH, Json, Trial
from regtune.core.search_space import Condition, KnobPath
from regtune.regularizers import REGULARIZERS, check_hooks
from regtune.sweep.ranges import read_searched


@dataclass(frozen=True, kw_only=True)
class ArmEntry:
    """A table of the file: `place` is the path of the table that it is in (`arms.cocktail`), `name` its key."""

    place: str
    name: str
    table: Any

    @property
    def where(self) -> str:
        """The path in the file."""
        return f"{self.place}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class ArmPart:
    """What an entry adds to an arm: rows of methods with their fixed knobs, searched knobs by path, the
    conditions of methods by name, and the path in the file of every name that it takes.
    """

    rows: tuple[Json, ...]
    space: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Condition]
    names: Mapping[str, str]


def read_method_entry(entry: ArmEntry, template: Trial) -> ArmPart:
    """Read a method of an arm whose trials are made from a template, with a switch or without; raises Refused."""
    row, space = read_row(entry, template, beside=(SWITCH,))
    switch, conditions = entry.table.get(SWITCH, False), {}
    if not isinstance(switch, bool):
        raise Refused(f"{entry.where}.{SWITCH}: expected true (searched: in or out) or false, given {shown(switch)}")
    if switch:
        path = str(KnobPath(entry.name, SWITCH))
        space = {path: CategoricalDistribution([False, True]), **space}
        conditions = {entry.name: Condition(path=path, value=True)}
    return ArmPart(rows=(row,), space=space, conditions=conditions, names={entry.name: entry.where})


def read_row(
    entry: ArmEntry, template: Trial, beside: tuple[str, ...] = ()
) -> tuple[Json, dict[str, BaseDistribution]]:
    """Return the plain row of a method with its fixed knobs, and its searched ones by path; raises Refused."""
    if entry.name not in REGULARIZERS.all(template.plugins) and _is_like_a_group(entry.table):
        raise Refused(
            f"{entry.place}: unknown regularizer {shown(entry.name)}; "
            f"a group is written {entry.name} = {{ one_of = {{ ... }} }}"
        )
    cls = REGULARIZERS.find(entry.name, entry.place, template.plugins)
    check_hooks(cls)
    row, searched = read_searched(knobs(cls), entry.table, entry.where, epochs=template.epochs, beside=beside)
    return {"name": entry.name, **row}, {str(KnobPath(entry.name, knob)): space for knob, space in searched.items()}


def _is_like_a_group(table: object) -> bool:
    """Return whether a table holds tables that are no ranges: a group whose `one_of` was forgotten or misspelt."""
    return isinstance(table, dict) and any(isinstance(part, dict) and "low" not in part for part in table.values())
