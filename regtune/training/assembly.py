"""What a lane shares and what each of its trials starts from, and what these must have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from regtune.core.errors import Refused
from regtune.core.global_rng import seeded
from regtune.core.knobs import knobs as knobs_of
from regtune.core.records import Json, Trial
from regtune.core.rng import Rng
from regtune.core.state import Tensors, TrainState
from regtune.data import Examples, Splits, beside, pixels, placed, splits_beside
from regtune.optimizers import Optimizer
from regtune.regularizers import HOOKS, Regularizer, overrides
from regtune.training import shapes
from regtune.training.balance import balanced_order, class_weights
from regtune.training.build import DTYPES, build_optimizer, load_data, start_network
from regtune.training.features import check_last_layer
from regtune.training.pretraining import Pretraining, pretrained
from regtune.training.recipe import Recipe, numbers
from regtune.training.train_step import Knobs

OUTSIDE = ("pretrain", "stop", "keep")  # hooks that are no part of the program that trains


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a trial starts from: its network, its recipe with plain numbers, its optimizer, and tensors without a
    member axis; and what it was pretrained by.
    """

    net: nn.Module
    recipe: Recipe
    optimizer: Optimizer
    knobs: Knobs
    state: TrainState
    pretraining: Pretraining


def start(trial: Trial, splits: Splits, weights: tuple[Tensors, Tensors] | None = None) -> Start:
    """Build what a trial starts from on its device; raises Refused. `weights` are (params, buffers) to begin with."""
    recipe, optimizer = Recipe.read(trial.recipe, trial.plugins), build_optimizer(trial)
    device, dtype = device_of(trial), DTYPES[trial.dtype]
    order = torch.channels_last
    # Hooks before the first step may draw too: each member from its own seed, whatever its neighbours are.
    with seeded(trial.seed, "begin", device=device):
        seen = replace(splits, test=None)
        net = start_network(trial, splits)
        recipe.check(net, splits, "recipe")
        net, pretraining = net.to(device=device, dtype=dtype), Pretraining()
        if weights is None:
            net, pretraining = pretrained(recipe, net, seen)
        net = recipe.prepare(net, seen).to(device=device, dtype=dtype)
        if trial.tightness:
            check_last_layer(net, pixels(seen.train.batches(2)[0], dtype), seen.classes)
        params, buffers = weights or (dict(net.named_parameters()), dict(net.named_buffers()))
        params = {name: p.detach().clone() for name, p in params.items()}
        buffers = {name: b.detach().clone() for name, b in buffers.items()}
        if trial.channels_last:
            params = {n: p.contiguous(memory_format=order) if p.ndim == 4 else p for n, p in params.items()}
        begun = shapes.moments(optimizer.start(params), f"{trial.optimizer['name']}.start")
        moments = tree_map(torch.clone, begun)  # an optimizer may begin with the weights, which change in place
        state = TrainState(params, buffers, moments, {})
        state = state._replace(memory=recipe.begin(state, seen))
    knobs: Knobs = {
        "optimizer": numbers(optimizer, device),
        "recipe": [numbers(method, device) for _, method in recipe.methods],
    }
    return Start(net=net.train(), recipe=recipe, optimizer=optimizer, knobs=knobs, state=state, pretraining=pretraining)


@dataclass(frozen=True, kw_only=True)
class LaneData:
    """What a lane reads from: `all` with a member axis where members have splits of their `own`, else those of all.

    Both are on the lane's device; `given` are those of each member as they were given, `host` is `all` made of them.
    `unlabelled` are the pictures without labels as steps draw them, on that device, with a member axis like `all`; None
    where the trials' methods want none, or there are none. With `weighted` examples have weights, see `balance`.
    """

    all: Splits
    own: tuple[Splits, ...]
    host: Splits
    given: tuple[Splits, ...]
    draws: bool
    weighted: bool = False
    unlabelled: Examples | None = None

    @classmethod
    def of(cls, trials: Sequence[Trial], data: Splits | Sequence[Splits] | None, device: torch.device) -> LaneData:
        """Return the data of a lane of these trials, or of each in order; raises Refused.

        The data set is loaded where `data` is None. The test split is dropped unless the trials are of confirm.
        """
        first = trials[0]
        data = load_data(first) if data is None else data
        each = (data,) * len(trials) if isinstance(data, Splits) else tuple(data)
        if len(each) != len(trials):
            raise Refused(f"lane: expected splits for each of {len(trials)} trials, given {len(each)}")
        if first.batch > len(each[0].train):
            raise Refused(f"batch: expected at most the {len(each[0].train)} training examples, given {first.batch}")
        draws = Recipe.read(first.recipe, first.plugins).wants_unlabelled()
        if isinstance(data, Splits):
            made = cls._shared(_seen(data, first), len(trials), device, draws)
        else:
            each = tuple(_seen(splits, first) for splits in each)
            made = cls._shared(each[0], 1, device, draws) if len(each) == 1 else cls._beside(each, device, draws)
        return replace(made, weighted=first.balance == "weights")

    @cached_property
    def weights(self) -> Tensor | None:
        """The weight of each class [K], with a member axis like `all`; None where examples have none."""
        return class_weights(self.all.train.labels, self.all.classes) if self.weighted else None

    def weights_of(self, labels: Tensor) -> Tensor:
        """Return the weights of examples by their labels [..., N]; raises ValueError where they have none."""
        if self.weights is None:
            raise ValueError("these examples have no weights")
        return self.weights[labels] if self.weights.ndim == 1 else self.weights.gather(-1, labels)

    def order(self, place: int, trial: Trial, number: int) -> Tensor:
        """Return the places of a member's training examples in the order of its epoch of that number."""
        rng, train = Rng(seed=trial.seed, step=number, prefix="order/"), self.own[place].train
        if trial.balance == "sampler":
            return balanced_order(train.labels.cpu(), self.all.classes, rng)
        return rng.permutation("epoch", len(train))

    def with_member(self, place: int, splits: Splits, trial: Trial) -> LaneData:
        """Return the data with those of another trial at a place."""
        each = [*self.given]
        each[place] = _seen(splits, trial)
        made = self._beside(tuple(each), self.all.train.labels.device, self.draws, self)
        return replace(made, weighted=self.weighted)

    def only(self, places: Sequence[int]) -> LaneData:
        """Return the data of the members at some places, in that order."""
        own, given = tuple(self.own[k] for k in places), tuple(self.given[k] for k in places)
        if self.all.train.labels.ndim == 1:
            return replace(self, own=own, given=given)
        made = self._beside(given, self.all.train.labels.device, self.draws, self)
        return replace(made, weighted=self.weighted)

    def drawn(self, seeds: int | Tensor, step: int | Tensor, count: int) -> Tensor | None:
        """Return `count` pictures without labels for a step, of each member by its seed and its step.

        They are drawn with replacement: so they are a function of seed and step alone, with nothing to remember between
        steps, at a price that does not grow with the pictures that there are.
        """
        if self.unlabelled is None:
            return None
        device, there = self.unlabelled.labels.device, len(self.unlabelled)

        def places(seed: int | Tensor, step: int | Tensor) -> Tensor:
            return Rng(seed=seed, step=step, prefix="unlabelled/", device=device).places(there, "places", (count,))

        lifted = isinstance(seeds, Tensor)
        return self.unlabelled.pictures((torch.vmap(places) if lifted else places)(seeds, step))

    @classmethod
    def _shared(cls, splits: Splits, count: int, device: torch.device, draws: bool) -> LaneData:
        data = splits.to(device)
        found = splits.unlabelled if draws else None
        moved = None if found is None else placed(found, device)
        own, given = (data,) * count, (splits,) * count
        return cls(all=data, own=own, host=splits, given=given, draws=draws, unlabelled=moved)

    @classmethod
    def _beside(
        cls, each: tuple[Splits, ...], device: torch.device, draws: bool, before: LaneData | None = None
    ) -> LaneData:
        host = splits_beside(each)
        data = host.to(device) if before is None else host.moved_like(before.host, before.all)
        own = [
            replace(data.member(place), unlabelled=one.unlabelled, others=one.others) for place, one in enumerate(each)
        ]
        found = _unlabelled_beside(each) if draws else None
        if found is not None and found.source is host.train.source:  # these pictures are there already
            index, labels = found.index.to(data.train.index.device), found.labels.to(device)
            found = Examples(source=data.train.source, index=index, labels=labels)
        elif found is not None:
            found = placed(found, device)
        return cls(all=data, own=tuple(own), host=host, given=each, draws=draws, unlabelled=found)


def few_unlabelled(trial: Trial, splits: Splits, count: int) -> Examples | None:
    """Return a few pictures without labels for trials that take a step to see how it goes; None where it draws none."""
    wanted = Recipe.read(trial.recipe, trial.plugins).wants_unlabelled()
    return splits.unlabelled.first(count) if wanted and splits.unlabelled is not None else None


def _unlabelled_beside(each: Sequence[Splits]) -> Examples | None:
    """Return the pictures without labels of members, None where one has none; raises Refused for other sizes."""
    parts = [splits.unlabelled for splits in each if splits.unlabelled is not None]
    if len(parts) < len(each):
        return None
    sizes = sorted({len(part) for part in parts})
    if len(sizes) > 1:
        raise Refused(
            f"lane: expected as many pictures without labels of each member, given {sizes[0]} and {sizes[-1]}; "
            f"train trials of other sizes in a lane of their own"
        )
    return beside(parts)


def _seen(splits: Splits, trial: Trial) -> Splits:
    return splits.without_test() if trial.phase == "search" else splits


def device_of(trial: Trial) -> torch.device:
    """Return the device of a trial; raises Refused where this machine has none."""
    if trial.device == "cuda" and not torch.cuda.is_available():
        raise Refused("device: the trial asks for cuda, and torch sees no GPU here")
    return torch.device(trial.device)


def common(trial: Trial, *, own_splits: bool) -> Json:
    """Return what a trial must have in common with its neighbours in a lane: all that is no tensor.

    Free are the seed, float knobs, and the knobs of methods that act before training or between epochs only; with
    splits of their own also the seed of the split. Of a float knob of a method that prepares the network only counts
    whether it is neutral: then it may leave the network as it is.
    """

    def fixed(value: Optimizer | Regularizer) -> Json:
        prepares = isinstance(value, Regularizer) and overrides(value, "prepare")
        return {
            k.name: getattr(value, k.name) if k.kind is not float else getattr(value, k.name) == k.neutral
            for k in knobs_of(type(value)).values()
            if k.kind is not float or prepares
        }

    def in_program(method: Regularizer) -> bool:
        return any(overrides(method, hook) for hook in HOOKS if hook not in OUTSIDE)

    recipe = Recipe.read(trial.recipe, trial.plugins)
    methods = [(site, fixed(method) if in_program(method) else {}) for site, method in recipe.methods]
    optimizer = (trial.optimizer["name"], fixed(build_optimizer(trial)))
    data = {**trial.data, "split_seed": 0} if own_splits else trial.data
    replaced = {"seed": 0, "recipe": methods, "optimizer": optimizer, "data": data}
    asked = {"tightness": trial.tightness, "metric": trial.metric, "balance": trial.balance}
    return trial.plain() | replaced | asked


def check_alike(trials: Sequence[Trial], *, own_splits: bool) -> None:
    """Raise Refused for trials that cannot share a lane."""
    first, *others = [common(trial, own_splits=own_splits) for trial in trials]
    for other in others:
        names = [name for name, value in other.items() if value != first[name]]
        if names:
            raise Refused(f"lane: its trials must agree in {', '.join(names)}")
