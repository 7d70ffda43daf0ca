"""Points that a person knows: where the search of an arm begins.

first = [{}]                                                          the defaults of everything that is searched
first = [{ optimizer.learning_rate = 0.1, dropout.p_hidden = 0.3 }]   what is not named has its default

In `[search]` they are for every arm, each taking what it searches; in an arm's table for that arm, behind those. The
n-th point is the n-th trial, in place of what a sampler would draw; all further trials are those of before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution

from regtune.core.distributions import holds, words
from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Knob, knobs
from regtune.core.records import FIRST, Json
from regtune.core.search_space import OPTIMIZER, KnobPath
from regtune.optimizers import OPTIMIZERS
from regtune.regularizers import REGULARIZERS
from regtune.sweep.arms import Arm


def with_first(arms: Sequence[Arm], everywhere: object, own: Mapping[str, object]) -> tuple[Arm, ...]:
    """Return the arms with the points of `[search]`, and behind them those that arms have of their `own`, by name.

    Raises Refused for a point that an arm does not search.
    """
    shared = _tables(everywhere, f"search.{FIRST}")
    known = {path for arm in arms for path in arm.space}
    for n, table in enumerate(shared):
        for path in table:
            if path not in known:
                raise Refused(f"search.{FIRST}[{n}]: no arm searches {shown(path)}{nearest(path, known)}")
    found = []
    for arm in arms:
        mine = [{path: value for path, value in table.items() if path in arm.space} for table in shared]
        points = [read_point(arm, table, f"search.{FIRST}[{n}]") for n, table in enumerate(mine)]
        where = f"arms.{arm.name}.{FIRST}"
        points += [read_point(arm, t, f"{where}[{n}]") for n, t in enumerate(_tables(own.get(arm.name, []), where))]
        found.append(replace(arm, first=tuple(points)))
    return tuple(found)


def read_point(arm: Arm, given: Mapping[str, Any], where: str) -> Json:
    """Return the values, plain and by path, of the searched knobs that are in play at a point; raises Refused.

    What is not `given` has its default: switches are off, and a group has its first choice, "none" if it has that.
    """
    known, values = settable(arm), dict[str, Any]()
    for path in given:
        if path not in arm.space:
            raise Refused(f"{where}: arm {arm.name} does not search {shown(path)}{nearest(path, arm.space)}")
    for path in arm.space:
        at = KnobPath.of(path)
        k = known[at.owner][at.knob]
        values[path] = k.plain(k.read(given[path], f"{where}.{path}") if path in given else k.default)
    idle = arm.idle(values)
    for path, space in arm.space.items():
        if path in idle and path in given:
            raise Refused(f"{where}.{path}: {KnobPath.of(path).owner} is off; add {idle[path]}")
        if path not in idle and not holds(space, values[path]):
            if path in given:
                raise Refused(f"{where}.{path}: expected a value of {words(space)}, given {shown(given[path])}")
            raise Refused(f"{where}: the default of {path}, {values[path]}, is not in {words(space)}; name a value")
    return {path: value for path, value in values.items() if path not in idle}


def settable(arm: Arm) -> dict[str, dict[str, Knob]]:
    """Return what may be set by hand: the knobs of every method of the arm, of the optimizer, and the choices."""
    found = {
        row["name"]: dict(knobs(REGULARIZERS.find(row["name"], "recipe", arm.template.plugins)))
        for row in arm.template.recipe
    }
    optimizer = OPTIMIZERS.find(arm.template.optimizer["name"], "optimizer.name", arm.template.plugins)
    found[OPTIMIZER] = dict(knobs(optimizer))
    for path, space in arm.space.items():
        at = KnobPath.of(path)
        if at.is_choice and isinstance(space, CategoricalDistribution):
            first = space.choices[0]
            legal = tuple(map(str, space.choices)) if at.is_group else None
            choice = Knob(name=at.knob, kind=type(first), default=first, legal=legal, space=None, meaning="what is in")
            found.setdefault(at.owner, {})[at.knob] = choice
    return found


def _tables(given: object, where: str) -> list[dict[str, Any]]:
    """Return points by path; raises Refused for what is no list of tables."""
    if not isinstance(given, list):
        raise Refused(
            f"{where}: expected a list of points, as [{{ optimizer.learning_rate = 0.1 }}], or [{{}}] for the "
            f"defaults, given {shown(given)}"
        )
    for n, table in enumerate(given):
        if not isinstance(table, dict):
            raise Refused(
                f"{where}[{n}]: expected a table of knobs, as {{ optimizer.learning_rate = 0.1 }}, given {shown(table)}"
            )
    return [_by_path(table) for table in given]


def _by_path(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, by path: TOML reads `a.b = 1` as a table in a table."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _by_path(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
