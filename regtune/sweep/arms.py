"""An arm: a named recipe with its search space. Planned trials come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from optuna.distributions import BaseDistribution

from regtune.core import distributions
from regtune.core.errors import Refused
from regtune.core.knobs import OFF, knobs
from regtune.core.records import FIRST, SWITCH, Json, Trial
from regtune.core.search_space import OPTIMIZER, Condition, KnobPath, of_owner
from regtune.regularizers import REGULARIZERS
from regtune.sweep.groups import is_group, read_group
from regtune.sweep.methods import ArmEntry, read_method_entry


@dataclass(frozen=True, kw_only=True)
class Arm:
    """`template` is a trial with every method that the arm may hold and every fixed knob in place.

    `space` holds all searched knobs. Its keys are paths: `optimizer.learning_rate`, `mixup.alpha`, and for
    the choices `dropout.switch`, `mixing.one_of`. `conditions` says of a method, by name, when it is in the
    recipe; one without a condition always is. A trial has values for those knobs only whose method is in.
    `shared` has those paths of `space` that every arm of the sweep has, the optimizer's and those of `[base]`. `own`
    are the names of the methods that it has beside those of `[base]`. With `neutral` there are some, all of them have
    a setting at which they do nothing, and the file does not say `off = false`: without them the arm is the plain
    base, bit for bit. `first` has the knobs of its first search trials, where a person has named them, see `points`.
    """

    name: str
    template: Trial
    space: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Condition]
    shared: frozenset[str] = frozenset()
    own: tuple[str, ...] = ()
    neutral: bool = False
    first: tuple[Json, ...] = ()

    @cached_property
    def when(self) -> Mapping[str, Condition]:
        """The conditions of those searched knobs that have one, by path."""
        return {path: found for path in self.space if (found := self._condition(path)) is not None}

    def idle(self, params: Mapping[str, Any]) -> dict[str, Condition]:
        """Return those paths among `params` whose method is out, with the condition that would put it in."""
        found = ((path, self._condition(path)) for path in params)
        return {path: c for path, c in found if c is not None and not c.met(params)}

    def trial(self, params: Mapping[str, Any], *, seed: int, phase: Literal["search", "confirm"]) -> Trial:
        """Return the trial with these values (plain, by path) of the searched knobs; raises Refused for idle ones."""
        for path, condition in self.idle(params).items():
            raise Refused(f"{path}: {KnobPath.of(path).owner} is off; add {condition}")

        def filled(row: Json, prefix: str) -> Json:
            return row | {name: value for name, value in of_owner(params, prefix).items() if name != SWITCH}

        rows = [(row, self.conditions.get(row["name"])) for row in self.template.recipe]
        recipe = tuple(filled(row, row["name"]) for row, c in rows if c is None or c.met(params))
        optimizer = filled(self.template.optimizer, OPTIMIZER)
        return replace(self.template, recipe=recipe, optimizer=optimizer, seed=seed, phase=phase)

    def plain(self, *, trials: int, can_be_off: bool) -> Json:
        """Return what the log's header records of the arm in a sweep that gives it so many search trials.

        What only some arms have is only there where they have it: logs of plain arms stay those of the same sweep.
        """
        row: Json = {"template": self.template.plain()}
        row |= {"space": {path: distributions.plain(space) for path, space in self.space.items()}, "trials": trials}
        row |= {OFF: True} if can_be_off else {}
        row |= {"conditions": {name: str(c) for name, c in self.conditions.items()}} if self.conditions else {}
        row |= {FIRST: [dict(params) for params in self.first]} if self.first else {}
        return row

    def _condition(self, path: str) -> Condition | None:
        """Return the condition of a knob: its method's. A choice itself has none."""
        found = KnobPath.of(path)
        return None if found.is_switch else self.conditions.get(found.owner)


def read_arm(
    name: str,
    base: Iterable[ArmEntry],
    own: Iterable[ArmEntry],
    *,
    template: Trial,
    optimizer_space: Mapping[str, BaseDistribution],
    off: bool = True,
) -> Arm:
    """Return the arm of the entries of `[base]` and its own, in their order; raises Refused.

    `off` says whether its own methods may be left off, see `Arm`.
    """
    rows: tuple[Json, ...] = ()
    mine, shared = list[str](), set(optimizer_space)
    space, conditions, names = dict(optimizer_space), dict[str, Condition](), {OPTIMIZER: OPTIMIZER}
    for entry, is_own in [*((entry, False) for entry in base), *((entry, True) for entry in own)]:
        part = (read_group if is_group(entry) else read_method_entry)(entry, template)
        for taken, where in part.names.items():
            if taken in names:
                raise Refused(
                    f"{where}: expected a name that the arm does not have yet, given {taken}, "
                    f"which is at {names[taken]} already; remove one of them"
                )
        rows += part.rows
        space |= part.space
        conditions |= part.conditions
        names |= part.names
        if is_own:
            mine += [row["name"] for row in part.rows]
        else:
            shared |= set(part.space)
    return Arm(
        name=name,
        template=replace(template, recipe=rows),
        space=space,
        conditions=conditions,
        shared=frozenset(shared),
        own=tuple(mine),
        neutral=off and bool(mine) and all(_has_neutral(method, template.plugins) for method in mine),
    )


def _has_neutral(method: str, plugins: tuple[str, ...]) -> bool:
    """Return whether a method has a setting at which it does nothing."""
    return any(knob.neutral is not None for knob in knobs(REGULARIZERS.find(method, method, plugins)).values())
