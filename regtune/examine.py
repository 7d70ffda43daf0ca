"""The checks that need the data: run once before anything starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from optuna.distributions import BaseDistribution, CategoricalDistribution

from regtune.arms import Arm
from regtune.build import load_data, start_network
from regtune.data import Splits
from regtune.errors import Refused
from regtune.recipe import Recipe
from regtune.records import SWITCH, Plain
from regtune.regularizers import overrides
from regtune.sweep import Sweep


def examine(sweep: Sweep) -> Splits:
    """Load the data of a sweep and check that every arm can be trained on it.

    Returns the splits, test included. Raises Refused: a batch larger than the training split, settings
    that no network can be built from, a method whose slot the network does not place, knobs that make no
    sense for network and data at either end of their searched range, retraining to a loss without a best
    epoch.
    """
    template = sweep.arms[0].template
    splits = load_data(template)
    if template.batch > len(splits.train):
        raise Refused(
            f"training.batch: expected at most the {len(splits.train)} training examples, given {template.batch}"
        )
    net = start_network(template, splits)
    for arm in sweep.arms:
        for row in arm.template.recipe:
            for corner in corners(arm, row):
                Recipe.read([corner], template.plugins).check(net, splits, f"arms.{arm.name}")
        if sweep.confirm.retrain == "loss" and not _keeps(arm):
            raise Refused(
                f"arms.{arm.name}: expected a method that keeps a best epoch in every recipe, confirm.retrain is "
                f"'loss'; add early_stopping to base, or set retrain to 'updates' or 'epochs'"
            )
    return splits


def corners(arm: Arm, row: Plain) -> Iterator[Plain]:
    """Yield a method's row of an arm with every searched knob at either end, or at every choice."""
    paths = {path: f"{row['name']}.{path}" for path in _searched(arm, row["name"])}
    ends = [_ends(arm.space[path]) for path in paths.values()]
    for values in itertools.product(*ends):
        yield row | dict(zip(paths, values, strict=True))


def _searched(arm: Arm, method: str) -> list[str]:
    """Return the searched knobs of a method; whether it is in at all is no knob of its own."""
    owned = (path.partition(".") for path in arm.space)
    return [knob for name, _, knob in owned if name == method and knob != SWITCH]


def _ends(space: BaseDistribution) -> tuple[object, ...]:
    if isinstance(space, CategoricalDistribution):
        return tuple(space.choices)
    return getattr(space, "low"), getattr(space, "high")  # noqa: B009 - ranges only have them


def _keeps(arm: Arm) -> bool:
    """Return whether every recipe of an arm has a method that keeps a best epoch."""
    always = [row for row in arm.template.recipe if row["name"] not in arm.conditions]
    return any(overrides(m, "keep") for _, m in Recipe.read(always, arm.template.plugins).methods)
