"""An arm: a named recipe with its search space. Planned trials come from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution

from regtune.errors import Refused, nearest, shown
from regtune.ranges import read_space
from regtune.records import Phase, Plain, Trial
from regtune.regularizers import REGULARIZERS
from regtune.space import Knob, knobs


@dataclass(frozen=True, kw_only=True)
class Arm:
    """`template` is a trial with every fixed knob in place; `space` holds the searched ones.

    Keys of `space` are paths: `optimizer.learning_rate`, `mixup.alpha`.
    """

    name: str
    template: Trial
    space: Mapping[str, BaseDistribution]

    def trial(self, params: Mapping[str, Any], *, seed: int, phase: Phase) -> Trial:
        """Return the trial with these values (plain, by path) of the searched knobs."""

        def filled(row: Plain, prefix: str) -> Plain:
            mine = {p.partition(".")[2]: v for p, v in params.items() if p.partition(".")[0] == prefix}
            return row | mine

        recipe = tuple(filled(row, row["name"]) for row in self.template.recipe)
        optimizer = filled(self.template.optimizer, "optimizer")
        return replace(self.template, recipe=recipe, optimizer=optimizer, seed=seed, phase=phase)


def read_arm(
    name: str,
    methods: Sequence[tuple[str, str, Any]],
    *,
    template: Trial,
    optimizer_space: Mapping[str, BaseDistribution],
) -> Arm:
    """Return the arm of rows (table in the file, method, `{knob: value or range}`); raises Refused."""
    space = dict(optimizer_space)
    recipe = []
    for where, method, settings in methods:
        cls = REGULARIZERS.find(method, where, template.plugins)
        row, searched = read_searched(knobs(cls), settings, f"{where}.{method}")
        recipe.append({"name": method, **row})
        space |= {f"{method}.{knob}": distribution for knob, distribution in searched.items()}
    return Arm(name=name, template=replace(template, recipe=tuple(recipe)), space=space)


def read_searched(known: Mapping[str, Knob], settings: object, where: str) -> tuple[Plain, dict[str, BaseDistribution]]:
    """Split settings into plain fixed values and searched distributions, defaults filled in."""
    if not isinstance(settings, dict):
        raise Refused(f"{where}: expected a table of knobs (may be empty), given {shown(settings)}")
    for name in settings:
        if name not in known:
            raise Refused(f"{where}: unknown knob {shown(name)}{nearest(name, known)}")
    row: Plain = {}
    space: dict[str, BaseDistribution] = {}
    for name, k in known.items():
        value = k.default if k.space is None else k.space
        if name in settings:
            value = read_space(k, settings[name], f"{where}.{name}")
        if isinstance(value, BaseDistribution):
            space[name] = value
        else:
            row[name] = k.plain(value)
    return row, space
