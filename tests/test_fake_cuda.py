"""No GPU is at hand: every method and network is traced on fake CUDA tensors, so that one on the wrong device is seen.

A fake tensor has a device and no numbers, and operations of tensors on two devices raise as on a GPU. All of a step of
a lane runs on them but autograd's backward, which asks for a device that is there: gradients are made up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves, tree_map

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.core.state import Tensors
from regtune.data import Examples, Splits
from regtune.regularizers import REGULARIZERS, Regularizer, Step
from regtune.regularizers._pretraining import chosen
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.objective import Objective
from regtune.training.recipe import Recipe, Steps
from regtune.training.step_timer import StepTimer
from regtune.training.train_step import Update
from tests.conftest import METHODS, row, searched, small_trial
from tests.test_networks import TINY, tiny_trial
from tests.unlabelled import WANTING, wanting

CUDA = torch.device("cuda")
MEMBERS = 2


def slope(
    self: Objective, recipe: Recipe, steps: Steps, ran: list[str], batch: Any, params: Tensors, buffers: Tensors
) -> tuple[Tensors, Tensor]:
    """Stand in for `Objective.slope`: the objective as it is, and gradients without backward."""
    value = self._value(recipe, steps, ran, batch, params, buffers)
    return {name: p * value for name, p in params.items()}, value


@pytest.fixture(scope="module")
def mode() -> Iterator[FakeTensorMode]:
    """One mode for all tests: what is cached by device holds its fakes, until the caches are emptied behind them."""
    yield FakeTensorMode()
    for name, module in [*sys.modules.items()]:
        if name.startswith("regtune."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.fixture(autouse=True)
def fake(mode: FakeTensorMode, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Objective, "slope", slope)
    with mode:
        yield


def there(tensor: Tensor) -> Tensor:
    """Return a fake of a tensor on the GPU."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)


def trace(lane: Lane) -> list[Tensor]:
    """Take a step of a lane on fake tensors, the last of an epoch, and evaluate it; return all that comes out."""
    step = replace(lane.train_step, device=CUDA)
    state, knobs = tree_map(there, lane.state), tree_map(there, lane.knobs)
    batch, picture = lane.members[0].trial.batch, lane.data.train.source.shape[1:]
    x = torch.empty((MEMBERS, batch, *picture), device=CUDA)
    y = torch.empty((MEMBERS, batch, lane.data.classes), device=CUDA)
    seeds = torch.empty(MEMBERS, dtype=torch.int32, device=CUDA)
    now = Update(
        step=torch.empty(MEMBERS, dtype=torch.int32, device=CUDA),
        progress=torch.empty(MEMBERS, device=CUDA),
        ends_epoch=True,
    )
    unlabelled = None
    if step.recipe.wants_unlabelled():
        there_are = Examples.of(images=torch.empty((30, *picture), device=CUDA), labels=y.new_empty(30).long())
        unlabelled = replace(lane._data, unlabelled=there_are).drawn(seeds, now.step, batch)
    stepped = step.step(state, knobs, seeds, now, x, y, StepTimer(torch.device("cpu")), unlabelled)
    batches = [torch.empty((batch, *picture), dtype=torch.uint8, device=CUDA)]
    params, buffers = step.evaluated(stepped.state, knobs, now.progress, batches)
    logits = step.logits(params, buffers, knobs, x[0])
    return [*tree_leaves(stepped.state), stepped.objective, *tree_leaves((params, buffers)), logits]


def assert_on_the_gpu(found: list[Tensor]) -> None:
    assert all(isinstance(tensor, FakeTensor) and tensor.device.type == "cuda" for tensor in found)


def lane_of(recipe: list[Json], network: str | None = None, **changes: Any) -> Lane:
    """Return a lane that was built of real tensors."""
    with unset_fake_temporarily():
        make = small_trial if network is None else lambda recipe, **more: tiny_trial(network, recipe, **more)
        return Lane([make(recipe, seed=seed, **changes) for seed in range(MEMBERS)])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_to_the_device_of_its_tensors(name: str) -> None:
    assert_on_the_gpu(trace(lane_of([row(name, searched(name))], optimizer="adamw")))


LONG = (  # 4 to 40 s each
    "kadra2021", "resnet", "resnet9", "small_inception", "srivastava2014", "tabular_resnet", "vit", "wide_resnet",
    "zhang2017_1x512", "zhang2017_3x512",
)  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in [*sorted(TINY), "module"]],
)
def test_every_network_does_with_all_methods_that_it_has_a_place_for(network: str) -> None:
    plain, fitting = lane_of([], network), []
    for name in METHODS:
        try:
            with unset_fake_temporarily():
                Recipe.of([searched(name)]).check(plain.train_step.net, plain.data, "recipe")
        except Refused:
            continue
        fitting.append(row(name, searched(name)))
    assert len(fitting) > 20
    assert_on_the_gpu(trace(lane_of(fitting, network)))


@dataclass(frozen=True, kw_only=True)
class Astray(Regularizer):
    """Makes a tensor of its own, where it happens to be."""

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        return x + torch.zeros(x.shape[-1]), y


def test_a_tensor_on_the_wrong_device_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGULARIZERS.all()["dropout"], "augment", Astray.augment)
    with pytest.raises(Exception, match="on the same device"):
        trace(lane_of([row("dropout", searched("dropout"))]))


@pytest.mark.parametrize("name", WANTING)
def test_a_step_with_pictures_without_labels(name: str) -> None:
    trials = [small_trial([row(name, wanting(name))], seed=seed) for seed in range(MEMBERS)]
    with unset_fake_temporarily():
        lane = Lane(trials, data=replace(load_data(trials[0]), few=True))
    assert_on_the_gpu(trace(lane))


def test_pictures_without_labels_are_pretrained_on_where_batches_are_wanted() -> None:
    """Beside training pictures on the GPU, and beside those that did not fit."""
    images, labels = torch.empty(20, 1, 6, 6), torch.empty(20, dtype=torch.int64)
    host = Examples.of(images=images, labels=labels)
    for train in (host.to(CUDA, resident=True), host.to(CUDA, resident=False)):
        left = Examples.of(images=torch.empty(9, 1, 6, 6), labels=torch.empty(9, dtype=torch.int64))
        splits = Splits(train=train, validation=train, test=None, classes=4, unlabelled=left)
        both = chosen(splits, "all")
        assert len(both) == 29
        assert both.labels.device.type == "cuda"
        assert both.source.device == train.source.device
