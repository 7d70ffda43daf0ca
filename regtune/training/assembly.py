"""The parts of a lane, put together from the trials that share it, and what they must have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from regtune.core.errors import Refused
from regtune.core.global_rng import seeded
from regtune.core.knobs import knobs as knobs_of
from regtune.core.records import Json, Trial
from regtune.core.state import Tensors, TrainState, stacked
from regtune.data import Splits, pixels, splits_beside
from regtune.optimizers import Optimizer
from regtune.regularizers import HOOKS, Regularizer, overrides
from regtune.training import shapes
from regtune.training.build import DTYPES, arithmetic_of, build_optimizer, check_arithmetic, load_data, start_network
from regtune.training.features import check_last_layer
from regtune.training.objective import Objective
from regtune.training.recipe import Recipe, numbers
from regtune.training.train_step import Knobs, TrainStep


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a lane works with. Tensors of `state`, `knobs` and `seeds` have a member axis when the lane
    has several members; `recipes` has one value per member, with plain numbers, for hooks on the host.
    `data` is what the lane reads from, with a member axis where members have splits of their own; `splits` has
    each member's.
    """

    data: Splits
    splits: tuple[Splits, ...]
    train_step: TrainStep
    recipes: tuple[Recipe, ...]
    knobs: Knobs
    seeds: int | Tensor
    state: TrainState
    dtype: torch.dtype


def assemble(
    trials: Sequence[Trial],
    data: Splits | Sequence[Splits] | None,
    weights: tuple[Tensors, Tensors] | None = None,
) -> Parts:
    """Build what the trials of a lane share and what each of them starts from; raises Refused.

    `data` is what the data set of the trials would load, if that is at hand, or what each trial's own would,
    where they differ in the seed of the split. The test split is dropped
    unless the trials are of the confirm phase. `weights` are (params, buffers) to start from.
    """
    first = trials[0]
    recipes = tuple(Recipe.read(trial.recipe, trial.plugins) for trial in trials)
    optimizers = tuple(build_optimizer(trial) for trial in trials)
    _check_alike([common(trial, own_splits=data is not None and not isinstance(data, Splits)) for trial in trials])
    device, dtype = device_of(first), DTYPES[first.dtype]
    splits, own = _data(trials, load_data(first) if data is None else data, device)
    if (first.channels_last or first.compiled) and len(trials) > 1:
        raise Refused("lane: expected trials with channels_last = false and compiled = false; train them one by one")
    check_arithmetic(first)
    order = torch.channels_last
    states = []
    for trial, recipe, mine in zip(trials, recipes, own, strict=True):
        # Hooks before the first step may draw too: each member from its own seed, whatever its neighbours are.
        with seeded(trial.seed, "begin", device=device):
            seen = replace(mine, test=None)
            net = start_network(trial, mine)
            recipe.check(net, mine, "recipe")
            net = recipe.prepare(net.to(device=device, dtype=dtype), seen).to(device=device, dtype=dtype)
            if trial.tightness:
                check_last_layer(net, pixels(seen.train.batches(2)[0], dtype), seen.classes)
            params, buffers = weights or (dict(net.named_parameters()), dict(net.named_buffers()))
            params = {name: p.detach().clone() for name, p in params.items()}
            buffers = {name: b.detach().clone() for name, b in buffers.items()}
            if first.channels_last:
                params = {n: p.contiguous(memory_format=order) if p.ndim == 4 else p for n, p in params.items()}
            begun = shapes.moments(optimizers[0].start(params), f"{trial.optimizer['name']}.start")
            moments = tree_map(torch.clone, begun)  # an optimizer may begin with the weights, which change in place
            state = TrainState(params, buffers, moments, {})
            states.append(state._replace(memory=recipe.begin(state, seen)))
    knobs: list[Knobs] = [
        {"optimizer": numbers(o, device), "recipe": [numbers(m, device) for _, m in r.methods]}
        for o, r in zip(optimizers, recipes, strict=True)
    ]
    alone = len(trials) == 1
    return Parts(
        data=splits,
        splits=own,
        train_step=TrainStep(
            objective=Objective(net=net.train(), lifted=not alone, arithmetic=arithmetic_of(first)),
            recipe=recipes[0],
            optimizer=optimizers[0],
            device=device,
        ),
        recipes=recipes,
        knobs=knobs[0] if alone else stacked(knobs),
        seeds=first.seed if alone else torch.tensor([t.seed for t in trials], dtype=torch.int32, device=device),
        state=states[0] if alone else stacked(states),
        dtype=dtype,
    )


def _data(
    trials: Sequence[Trial], given: Splits | Sequence[Splits], device: torch.device
) -> tuple[Splits, tuple[Splits, ...]]:
    """Return what a lane reads from, on its device, and each member's splits of it; raises Refused."""
    first = trials[0]
    each = (given,) if isinstance(given, Splits) else tuple(given)
    if not isinstance(given, Splits) and len(each) != len(trials):
        raise Refused(f"lane: expected splits for each of {len(trials)} trials, given {len(each)}")
    if first.phase == "search":
        each = tuple(splits.without_test() for splits in each)
    if first.batch > len(each[0].train):
        raise Refused(f"batch: expected at most the {len(each[0].train)} training examples, given {first.batch}")
    if len(each) == 1:
        data = each[0].to(device)
        return data, (data,) * len(trials)
    data = splits_beside(each).to(device)
    return data, tuple(data.member(place) for place in range(len(trials)))


def device_of(trial: Trial) -> torch.device:
    """Return the device of a trial; raises Refused where this machine has none."""
    if trial.device == "cuda" and not torch.cuda.is_available():
        raise Refused("device: the trial asks for cuda, and torch sees no GPU here")
    return torch.device(trial.device)


def common(trial: Trial, *, own_splits: bool) -> Json:
    """Return what a trial must have in common with its neighbours in a lane: all that is no tensor.

    Free are the seed, float knobs, and the knobs of methods that act between epochs only; with splits of their
    own also the seed of the split.
    """

    def fixed(value: Optimizer | Regularizer) -> Json:
        return {k.name: getattr(value, k.name) for k in knobs_of(type(value)).values() if k.kind is not float}

    def in_program(method: Regularizer) -> bool:
        return any(overrides(method, hook) for hook in HOOKS if hook not in ("stop", "keep"))

    recipe = Recipe.read(trial.recipe, trial.plugins)
    methods = [(site, fixed(method) if in_program(method) else {}) for site, method in recipe.methods]
    optimizer = (trial.optimizer["name"], fixed(build_optimizer(trial)))
    data = {**trial.data, "split_seed": 0} if own_splits else trial.data
    replaced = {"seed": 0, "recipe": methods, "optimizer": optimizer, "data": data}
    return trial.plain() | replaced | {"tightness": trial.tightness, "metric": trial.metric}


def _check_alike(shared: Sequence[Json]) -> None:
    for other in shared[1:]:
        names = [name for name, value in other.items() if value != shared[0][name]]
        if names:
            raise Refused(f"lane: its trials must agree in {', '.join(names)}")
