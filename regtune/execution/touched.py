"""What the penalties of a sweep touch in its network, as `regtune check` says it."""

from __future__ import annotations

from collections import Counter

from regtune.core.own_code import own_errors
from regtune.core.state import Tensors, weights
from regtune.data import Splits
from regtune.networks import spared
from regtune.sweep.sweep import Sweep
from regtune.training.build import start_network
from regtune.training.recipe import Recipe, name_at


def touched(sweep: Sweep, splits: Splits) -> list[str]:
    """Return, in one line, which methods act on weights alone, on how many, and what they leave alone, by type."""
    template = sweep.arms[0].template
    recipes = [Recipe.read(arm.template.recipe, arm.template.plugins) for arm in sweep.arms]
    names = dict.fromkeys(name_at(site) for recipe in recipes for site, method in recipe.methods if method.weighs)
    if not names:
        return []
    with own_errors(f"network {template.network['name']}"):
        net = start_network(template, splits)
    params: Tensors = dict(net.named_parameters())
    mine = weights(params, spared(net))
    left: Counter[str] = Counter()
    for name in params.keys() - mine.keys():
        *above, kind = name.split(".")
        owner = type(net.get_submodule(".".join(above))).__name__
        left["biases" if kind.endswith("bias") and "Norm" not in owner else owner] += 1
    alone = f"; left alone: {', '.join(f'{owner} {left[owner]}' for owner in sorted(left))}" if left else ""
    return [f"{', '.join(names)}: act on {len(mine)} of {len(params)} parameter tensors{alone}"]
