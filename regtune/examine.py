"""The checks that need the data: run once before anything starts."""

from __future__ import annotations

from regtune.data import Splits
from regtune.errors import Refused
from regtune.networks import fresh
from regtune.recipe import Recipe
from regtune.sweep import Sweep
from regtune.train import build_network, load_data


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
    images = splits.train.images
    net = fresh(
        build_network(template),
        shape=(images.shape[1], images.shape[2], images.shape[3]),
        classes=splits.classes,
        seed=0,
    )
    for arm in sweep.arms:
        recipe = Recipe.read(arm.template.recipe, template.plugins)
        recipe.check_slots(net, str(template.network["name"]), f"arms.{arm.name}")
    return splits
