"""The checks that need the data: run once before anything starts."""

from __future__ import annotations

from regtune.build import load_data, start_network
from regtune.data import Splits
from regtune.errors import Refused
from regtune.recipe import Recipe
from regtune.sweep import Sweep


def examine(sweep: Sweep) -> Splits:
    """Load the data of a sweep and check that every arm can be trained on it.

    Returns the splits, test included. Raises Refused: a batch larger than the training split, settings
    that no network can be built from, a method whose slot the network does not place.
    """
    template = sweep.arms[0].template
    splits = load_data(template)
    if template.batch > len(splits.train):
        raise Refused(
            f"training.batch: expected at most the {len(splits.train)} training examples, given {template.batch}"
        )
    net = start_network(template, splits)
    for arm in sweep.arms:
        recipe = Recipe.read(arm.template.recipe, template.plugins)
        recipe.check(net, splits, f"arms.{arm.name}")
    return splits
