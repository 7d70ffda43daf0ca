"""The laws, over every regularizer in the registry; a new one is covered by being there."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from torch import Tensor

from regtune.core.errors import Refused
from regtune.core.knobs import knobs, plain_settings
from regtune.core.records import Json, Trial
from regtune.core.registry import name_of
from regtune.core.rng import Rng
from regtune.core.state import Tensors
from regtune.data import DataLocation, Pool
from regtune.networks import without_heads
from regtune.regularizers import HOOKS, REGULARIZERS, Step, overrides
from regtune.training.build import build_dataset, load_data, split_data
from regtune.training.lane import Lane
from regtune.training.recipe import Recipe, method_from_row
from regtune.training.train_step import TrainStep
from tests.conftest import METHODS, neutral, row, same, searched, small_trial, trained

every_method = pytest.mark.parametrize("name", METHODS)


@functools.cache
def baseline(epochs: int = 4) -> Lane:
    """Return the lane of the trial without a recipe, trained once for all methods; it is only looked at."""
    return trained(small_trial(epochs=epochs))


@every_method
def test_neutral_is_bitwise_baseline_with_its_hooks_running(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, calls = REGULARIZERS.all()[name], Counter[str]()

    def counted(hook: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls[hook] += 1
            return original(*arguments)

        return call

    hooks = [hook for hook in HOOKS if overrides(cls, hook)]
    for hook in hooks:
        monkeypatch.setattr(cls, hook, counted(hook, getattr(cls, hook)))
    ours, plain = trained(small_trial([row(name, neutral(name))])), baseline()
    assert hooks
    assert all(calls[hook] > 0 for hook in hooks), calls
    assert same(ours.state.params, plain.state.params)
    assert same(ours.state.buffers, plain.state.buffers)
    work = {"branches": None, "gradients": None}  # a neutral SAM still takes two gradients
    assert [e.numbers() | work for e in ours.epochs[0]] == [e.numbers() | work for e in plain.epochs[0]]


@every_method
def test_a_setting_that_is_not_neutral_changes_the_kept_weights(name: str) -> None:
    ours = trained(small_trial([row(name, searched(name))], epochs=25))
    assert not same(ours.kept[0][0], baseline(25).kept[0][0])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@every_method
def test_resume_is_bitwise(name: str, optimizer: str) -> None:
    trial = small_trial([row(name, searched(name))], optimizer=optimizer)
    whole, first = trained(trial), Lane((trial,))
    for _ in range(2):
        next(first)
    second = Lane((trial,), resume=first.checkpoint())
    for _ in second:
        pass
    assert same(second.state.params, whole.state.params)
    assert same(second.kept[0][0], whole.kept[0][0])
    assert [e.numbers() for e in second.epochs[0]] == [e.numbers() for e in whole.epochs[0]]


def test_resume_is_bitwise_in_a_fresh_process(tmp_path: Path) -> None:
    trial = small_trial([row(name, searched(name)) for name in METHODS])
    whole, first = trained(trial), Lane((trial,))
    next(first)
    (tmp_path / "checkpoint").write_bytes(first.checkpoint())
    (tmp_path / "trial").write_text(json.dumps(trial.plain()))
    code = (
        "import json, sys; from pathlib import Path; from regtune import Trial, train; "
        f"folder = Path({str(tmp_path)!r}); trial = Trial.from_plain(json.loads((folder / 'trial').read_text())); "
        "epochs = train(trial, resume=(folder / 'checkpoint').read_bytes()); "
        "print(json.dumps([e.numbers() for e in epochs]))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [json.loads(json.dumps(e.numbers())) for e in whole.epochs[0][1:]]


@every_method
def test_pairing_one_seed_gives_every_arm_the_same_weights_and_batches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(recipe: list[Json], seed: int) -> tuple[Tensors, list[Tensor]]:
        batches: list[Tensor] = []
        original = TrainStep.step

        def spy(self: TrainStep, *arguments: Any) -> Any:
            batches.append(arguments[4].clone())
            return original(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(TrainStep, "step", spy)
            lane = Lane((small_trial(recipe, seed=seed),))
            start = {n: p.clone() for n, p in without_heads(lane.state.params).items()}
            next(lane)
        return start, batches

    (weights, batches), (plain_weights, plain_batches) = seen([row(name, searched(name))], 3), seen([], 3)
    # Pretraining begins with the same weights: it is a function of them, see tests/meaning/test_pretraining.py.
    assert same(weights, plain_weights) != overrides(REGULARIZERS.all()[name], "pretrain")
    assert all(map(torch.equal, batches, plain_batches))
    other_weights, other_batches = seen([], 4)
    assert not same(weights, other_weights)
    assert not torch.equal(batches[0], other_batches[0])


@every_method
def test_the_draws_of_a_method_do_not_depend_on_its_company(name: str) -> None:
    company = [row(other, neutral(other)) for other in METHODS if other != name]
    alone = trained(small_trial([row(name, searched(name))]))
    among = trained(small_trial([*company, row(name, searched(name))]))
    assert same(alone.state.params, among.state.params)


@every_method
def test_neighbours_in_a_lane_change_nothing(name: str) -> None:
    def lane_of(seeds: tuple[int, ...], end: str) -> Lane:
        method, cls = searched(name), REGULARIZERS.all()[name]
        in_program = any(overrides(cls, hook) for hook in HOOKS if hook not in ("stop", "keep"))
        shared = {k.name: getattr(method, k.name) for k in knobs(cls).values() if in_program and k.kind is not float}
        other = dataclasses.replace(searched(name, end), **shared)  # what is no tensor is one for the whole lane
        first = small_trial([row(name, method)], seed=seeds[0])
        others = [small_trial([row(name, other)], seed=seed) for seed in seeds[1:]]
        lane = Lane((first, *others))
        for _ in lane:
            pass
        return lane

    one, two = lane_of((5, 6, 7), "low"), lane_of((5, 8, 9), "high")
    assert all(torch.equal(one.state.params[n][0], two.state.params[n][0]) for n in one.state.params)
    assert not torch.equal(one.state.params["head.weight"][1], two.state.params["head.weight"][1])
    assert [e.numbers() for e in one.epochs[0]] == [e.numbers() for e in two.epochs[0]]


@every_method
def test_a_lane_member_takes_the_same_step_as_a_trial_alone(name: str) -> None:
    trials = [small_trial([row(name, searched(name))], seed=seed, batch=48) for seed in (1, 2)]
    alone = Lane((trials[1],))
    next(alone)  # one full batch: one step
    for width in (2, 8, 64):
        lane = Lane(trials, width=width)
        next(lane)
        for parameter, value in alone.state.params.items():
            torch.testing.assert_close(lane.state.params[parameter][1], value, rtol=1e-6, atol=1e-7)


OWN: Json = {"name": "synthetic", "train": 48, "validation": 32, "test": 37, "noise": 0.6, "side": 6}
AVERAGED = {"network": {"name": "batch_norm_net"}, "plugins": ("tests.plugin_things",)}


def resplit(recipe: list[Json], seed: int, **changes: Any) -> Trial:
    """Return a trial whose splits are its own."""
    return small_trial(
        recipe, seed=seed, phase="confirm", data=OWN | {"split_seed": seed, "label_noise": 0.2}, **changes
    )


def pool_of(trial: Trial) -> Pool:
    return build_dataset(trial).pool(DataLocation.from_environment())


def lane_with_own_splits(trials: list[Trial]) -> Lane:
    pool = pool_of(trials[0])
    return Lane(trials, data=[split_data(trial, pool) for trial in trials])


@every_method
def test_neighbours_with_other_splits_change_nothing(name: str) -> None:
    def lane_of(seeds: tuple[int, ...], changes: dict[str, Any]) -> Lane:
        lane = lane_with_own_splits([resplit([row(name, searched(name))], seed, epochs=3, **changes) for seed in seeds])
        for _ in lane:
            pass
        return lane

    for changes in ({}, AVERAGED) if name in ("ema", "swa") else ({},):
        one, two = lane_of((5, 6, 7), changes), lane_of((5, 8, 9), changes)
        moved = lane_of((6, 7, 5), changes)
        for lane, place in ((two, 0), (moved, 2)):
            assert all(torch.equal(one.kept[0][0][n], lane.kept[place][0][n]) for n in one.state.params)
            assert all(torch.equal(one.kept[0][1][n], lane.kept[place][1][n]) for n in one.state.buffers)
            assert [e.numbers() for e in one.epochs[0]] == [e.numbers() for e in lane.epochs[place]]
        assert not torch.equal(one.state.params["head.weight"][1], two.state.params["head.weight"][1])


@pytest.mark.parametrize("changes", [{}, AVERAGED], ids=["mlp", "batch_norm"])
@every_method
def test_a_lane_member_with_splits_of_its_own_agrees_with_its_trial_alone(name: str, changes: dict[str, Any]) -> None:
    try:
        trials = [resplit([row(name, searched(name))], seed, epochs=1, **changes) for seed in (1, 2, 3)]
        lane = lane_with_own_splits(trials)
    except Refused:
        pytest.skip("not for this network")
    together = [epoch for epoch in next(lane) if epoch is not None]
    for k, trial in enumerate(trials):
        alone = Lane((trial,), data=split_data(trial, pool_of(trial)))
        (epoch,) = next(alone)
        assert epoch is not None
        for one, other in zip(lane.kept[k], alone.kept[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        ours, theirs = together[k].numbers(), epoch.numbers()
        assert ours["val_accuracy"] == theirs["val_accuracy"]
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-5)
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
        end, end_alone = together[k].outcome, epoch.outcome
        assert end is not None
        assert end_alone is not None
        assert end.test_right == end_alone.test_right
        assert end.metrics == pytest.approx(end_alone.metrics, rel=1e-4, abs=1e-5)


def test_a_lane_of_one_with_its_own_splits_is_the_trial_alone() -> None:
    trial = resplit([], 3)
    lane, alone = lane_with_own_splits([trial]), trained(trial, split_data(trial, pool_of(trial)))
    list(lane)
    assert same(lane.state.params, alone.state.params)
    assert [e.numbers() for e in lane.epochs[0]] == [e.numbers() for e in alone.epochs[0]]


def test_splits_of_one_pool_share_its_pictures_in_a_lane() -> None:
    data = {"name": "digits", "train": 100, "validation": 50}
    trials = [dataclasses.replace(resplit([], seed, epochs=1), data=data | {"split_seed": seed}) for seed in (1, 2)]
    pool = pool_of(trials[0])
    splits = [split_data(trial, pool) for trial in trials]
    lane = Lane(trials, data=splits)
    assert lane.data.train.source is pool.train.source
    assert lane.data.train.index.shape == (2, 100)
    assert torch.equal(lane.data.train.member(1).images, splits[1].train.images)
    (first, second), (alone,) = next(lane), next(Lane(trials[1:], data=splits[1]))
    assert first is not None
    assert second is not None
    assert alone is not None
    assert second.val_loss == pytest.approx(alone.val_loss, rel=1e-5)
    assert first.val_loss != pytest.approx(alone.val_loss, rel=1e-5)


def test_search_sees_no_test_examples_in_a_lane_with_own_splits() -> None:
    trials = [dataclasses.replace(resplit([], seed), phase="search") for seed in (1, 2)]
    lane = lane_with_own_splits(trials)
    assert lane.data.test is None
    assert len(lane.data.train.source) == 2 * (48 + 32)


def test_the_seed_of_the_split_may_differ_with_own_splits_only() -> None:
    trials = [resplit([], 1), resplit([], 2)]
    data = [split_data(trial, pool_of(trial)) for trial in trials]
    for shared in (None, data[0]):
        with pytest.raises(Refused, match="must agree in data"):
            Lane(trials, data=shared)
    with pytest.raises(Refused, match="splits for each of 2 trials, given 1"):
        Lane(trials, data=data[:1])
    with pytest.raises(Refused, match="splits of the same sizes"):
        Lane(trials, data=[data[0], dataclasses.replace(data[1], train=data[1].train.first(40))])
    with pytest.raises(Refused, match="must agree in data"):
        Lane([trials[0], dataclasses.replace(trials[1], data=trials[1].data | {"label_noise": 0.1})], data=data)


@every_method
def test_targets_stay_probabilities_and_inputs_are_not_edited(name: str) -> None:
    x, y = torch.rand(16, 1, 6, 6), torch.eye(4).repeat(4, 1)
    step = Step(noise=Rng(seed=1, step=2), progress=0.5, learning_rate=0.1)
    before = x.clone(), y.clone()
    recipe, trial = Recipe.of([searched(name)]), small_trial()
    memory = recipe.begin(Lane([trial]).state, load_data(trial))
    new_x, new_y = recipe.augment(x, y, recipe.steps(step, memory))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert new_x.shape == x.shape
    assert new_x.min() >= 0
    assert new_x.max() <= 1
    torch.testing.assert_close(new_y.sum(1), torch.ones(16))


@every_method
def test_evaluation_is_deterministic(name: str) -> None:
    lane = trained(small_trial([row(name, searched(name))]))
    x, state = torch.rand(8, 1, 6, 6), lane.state
    first, second = (lane.train_step.logits(state.params, state.buffers, lane.knobs, x) for _ in range(2))
    assert torch.equal(first, second)


@every_method
def test_methods_go_to_json_and_pickle_and_back(name: str) -> None:
    for method in (neutral(name), searched(name), REGULARIZERS.all()[name]()):
        plain = json.loads(json.dumps({"name": name_of(type(method)), **plain_settings(method)}, allow_nan=False))
        assert method_from_row(plain, (), "recipe") == method
        assert pickle.loads(pickle.dumps(method)) == method  # noqa: S301 - our own bytes


@every_method
def test_every_method_names_its_source_and_a_neutral_setting(name: str) -> None:
    cls = REGULARIZERS.all()[name]
    assert "Source: " in (cls.__doc__ or "")
    card = sys.modules[cls.__module__].__doc__ or ""
    labels = re.findall(r"^(Changes|Formula|Expect|Not with): .", card, flags=re.MULTILINE)
    assert labels == ["Changes", "Formula", "Expect", "Not with"], "the module's docstring is the method's card"
    assert cls.__module__ == f"regtune.regularizers.{name}"
    assert any(k.neutral is not None for k in knobs(cls).values())
    assert any(k.space is not None for k in knobs(cls).values())
    assert all(k.meaning for k in knobs(cls).values())


def values(space: BaseDistribution) -> st.SearchStrategy[int] | st.SearchStrategy[float]:
    """Return what a search space can suggest."""
    if isinstance(space, IntDistribution):
        return st.integers(space.low, space.high)
    assert isinstance(space, FloatDistribution)
    low, step = space.low, space.step
    if step is None:
        return st.floats(low, space.high)
    return st.integers(0, round((space.high - low) / step)).map(lambda count: low + step * count)


@every_method
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_settings_drawn_from_the_search_space_train(name: str, data: st.DataObject) -> None:
    cls = REGULARIZERS.all()[name]
    drawn = {k.name: data.draw(values(k.space)) for k in knobs(cls).values() if k.space is not None}
    lane = Lane((small_trial([row(name, cls(**drawn))], epochs=1),))
    next(lane)
    assert lane.epochs[0][-1].objective is not None
