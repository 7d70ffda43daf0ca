"""A group in an arm's table of a sweep file: a choice among methods.

mixing = { one_of = { mixup = {}, label_smoothing = {} } }                at most one of them is in the recipe
mixing = { one_of = { mixup = {}, label_smoothing = {} }, none = false }  exactly one
"""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution

from regtune.core.errors import Refused, nearest, shown
from regtune.core.records import NONE, ONE_OF, SWITCH, Json, Trial
from regtune.core.search_space import Condition, KnobPath
from regtune.regularizers import REGULARIZERS
from regtune.sweep.methods import ArmEntry, ArmPart, read_row


def is_group(entry: ArmEntry) -> bool:
    """Return whether a table means a group."""
    return isinstance(entry.table, dict) and ONE_OF in entry.table


def read_group(entry: ArmEntry, template: Trial) -> ArmPart:
    """Read a group of an arm whose trials are made from a template; raises Refused.

    It is the choice and, under it, its methods.
    """
    _check_name(entry, template.plugins)
    has_none = _has_none(entry)
    members = _members(entry, fewest=1 if has_none else 2)
    path = str(KnobPath(entry.name, ONE_OF))
    space: dict[str, BaseDistribution] = {path: CategoricalDistribution([NONE, *members] if has_none else [*members])}
    rows: list[Json] = []
    for member in members.values():
        row, searched = read_row(member, template)
        rows.append(row)
        space |= searched
    return ArmPart(
        rows=tuple(rows),
        space=space,
        conditions={name: Condition(path=path, value=name) for name in members},
        names={entry.name: entry.where} | {name: member.where for name, member in members.items()},
    )


def _check_name(entry: ArmEntry, plugins: tuple[str, ...]) -> None:
    if entry.name in REGULARIZERS.all(plugins):
        raise Refused(f"{entry.where}: expected a group with a name of its own, given a method's; rename the group")
    if not entry.name.replace("_", "").replace("-", "").isalnum():  # it becomes the first word of a path
        raise Refused(f"{entry.place}: expected a group called by letters, digits, _ and -, given {shown(entry.name)}")


def _has_none(entry: ArmEntry) -> bool:
    """Check what stands beside `one_of` and return whether none of the methods may be in."""
    if SWITCH in entry.table:
        raise Refused(
            f"{entry.where}.{SWITCH}: expected no switch beside one_of, given {shown(entry.table[SWITCH])}; "
            f'remove it, "none" is a choice already unless none = false'
        )
    for key in entry.table:
        if key not in (ONE_OF, NONE):
            raise Refused(f"{entry.where}: unknown setting {shown(key)}{nearest(key, (ONE_OF, NONE))}")
    none = entry.table.get(NONE, True)
    if not isinstance(none, bool):
        raise Refused(f"{entry.where}.{NONE}: expected true or false (exactly one is in), given {shown(none)}")
    return none


def _members(entry: ArmEntry, fewest: int) -> dict[str, ArmEntry]:
    """Check the shape of the group's methods and return them as entries by name."""
    place, tables = f"{entry.where}.{ONE_OF}", entry.table[ONE_OF]
    if not isinstance(tables, dict):
        raise Refused(f"{place}: expected a table of methods, as in {{ mixup = {{}} }}, given {shown(tables)}")
    if len(tables) < fewest:
        least = "at least one method" if fewest == 1 else "at least two methods beside none = false"
        raise Refused(f"{place}: expected {least}, given {shown(list(tables))}; add one or remove the group")
    if NONE in tables:
        raise Refused(f'{place}.{NONE}: expected a method, given "none", which is a choice already; remove it')
    for name, table in tables.items():
        if isinstance(table, dict) and ONE_OF in table:
            raise Refused(f"{place}.{name}: expected a method, given a group in a group; put all methods into one")
        if isinstance(table, dict) and SWITCH in table:
            raise Refused(
                f"{place}.{name}.{SWITCH}: expected no switch within a group, given {shown(table[SWITCH])}; "
                f"remove it, the group chooses already"
            )
    return {name: ArmEntry(place=place, name=name, table=table) for name, table in tables.items()}
