"""Unequal classes: weights of examples and the sampler, against scikit-learn, by hand, and the laws of trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from regtune.core.rng import Rng
from regtune.data import Examples, Splits
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from regtune.training.balance import balanced_order, class_weights
from regtune.training.lane import Lane
from regtune.training.train_step import Update
from tests.command_line import called
from tests.conftest import SWEEP, row, same, searched, small_trial

LABELS = torch.tensor([0] * 30 + [1] * 12 + [2] * 6)
KINDS = pytest.mark.parametrize("balance", ["weights", "sampler"])


def unequal(seed: int = 0) -> Splits:
    """Return 48 training pictures of three classes, 30, 12 and 6 of them."""
    images = torch.rand(48, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    part = Examples.of(images=images, labels=LABELS)
    return Splits(train=part, validation=part, test=None, classes=3)


def trial(**changes: Any) -> Any:
    return small_trial(**{"epochs": 2, "batch": 16} | changes)


def test_weights_are_those_of_scikit_learn_and_their_mean_is_1() -> None:
    found = class_weights(LABELS, 3)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy()))
    assert float(found[LABELS].mean()) == pytest.approx(1)
    beside = class_weights(torch.stack([LABELS, LABELS.flip(0) % 2]), 3)
    assert beside[0].equal(found)
    assert beside[1].tolist() == pytest.approx([48 / (3 * 36), 48 / (3 * 12), 0])


def test_the_objective_is_the_mean_of_weighted_losses_of_the_targets_as_smoothed() -> None:
    lane = Lane(
        [trial(recipe=[row("label_smoothing", searched("label_smoothing"))], balance="weights")], data=unequal()
    )
    eps = searched("label_smoothing").eps  # type: ignore[attr-defined]  # of that method
    places = torch.arange(20, 48)
    logits = lane.train_step.logits(lane.state.params, lane.state.buffers, lane.knobs, lane.pictures(places))
    losses = cross_entropy(logits, LABELS[places], label_smoothing=eps, reduction="none")
    expected = (losses * class_weights(LABELS, 3)[LABELS[places]]).mean()
    found = lane.step(lane.state, Update(step=0, progress=0.0), places).objective
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=0)


def test_what_minimizes_it_is_the_target_whatever_the_weights_and_of_pytorchs_it_is_not() -> None:
    """By the gradient at logits whose softmax is the smoothed target: 0 of ours, of PyTorch's far from it."""
    weights, eps = class_weights(LABELS, 3), 0.3
    smoothed = torch.eye(3, dtype=torch.float64) * (1 - eps) + eps / 3
    logits = smoothed.log().requires_grad_()
    ours = (weights * -(smoothed * logits.log_softmax(-1)).sum(-1)).mean()
    (gradient,) = torch.autograd.grad(ours, logits)
    assert gradient.abs().max() < 1e-15
    theirs = cross_entropy(logits, torch.arange(3), weight=weights, label_smoothing=eps)
    (gradient,) = torch.autograd.grad(theirs, logits)
    assert gradient.abs().max() > 0.01


def test_the_sampler_draws_classes_equally_often_and_examples_of_a_class_alike() -> None:
    draws = torch.stack([balanced_order(LABELS, 3, Rng(seed=1, step=n, prefix="order/")) for n in range(200)])
    assert draws.shape == (200, 48)
    counts = LABELS[draws].flatten().bincount(minlength=3)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    for label in range(3):
        of_class = draws.flatten().bincount(minlength=48)[label == LABELS]
        assert stats.chisquare(of_class.numpy()).pvalue > 1e-3
    assert not draws[0].equal(draws[1])


@KINDS
def test_it_changes_training_and_resumes_bitwise(balance: str) -> None:
    plain, whole, first, second = (
        Lane([trial(balance=each)], data=unequal()) for each in ("none", balance, balance, balance)
    )
    for lane in (plain, whole, whole):
        next(lane)
    next(plain)
    next(first)
    second.restore(0, first.checkpoint())
    next(second)
    assert same(second.state.params, whole.state.params)
    assert not same(plain.state.params, whole.state.params)


@KINDS
@pytest.mark.parametrize("own", [False, True])
def test_a_member_of_a_lane_is_as_alone_and_neighbours_change_nothing(balance: str, own: bool) -> None:
    def lane_of(*seeds: int) -> Lane:
        splits = [unequal(seed) for seed in seeds] if own else unequal()
        lane = Lane([trial(balance=balance, seed=seed) for seed in seeds], data=splits)
        next(lane)
        return lane

    one, two, alone = lane_of(5, 6), lane_of(5, 8), lane_of(5)
    for name, value in one.state.params.items():
        assert value[0].equal(two.state.params[name][0])
        torch.testing.assert_close(value[0], alone.state.params[name], rtol=1e-4, atol=1e-6)


def test_the_order_is_that_of_the_seed_in_every_arm() -> None:
    kept = []
    for recipe in ([], [row("mixup", searched("mixup"))]):
        lane = Lane([trial(recipe=recipe, balance="sampler")], data=unequal())
        kept.append(lane._data.order(0, lane.members[0].trial, 1))
    assert kept[0].equal(kept[1])


def test_where_classes_are_equal_weights_change_no_bit() -> None:
    part = Examples.of(images=torch.rand(48, 1, 6, 6), labels=torch.arange(48) % 4)
    lanes = [
        Lane([trial(balance=each)], data=Splits(train=part, validation=part, test=None, classes=4))
        for each in ("none", "weights")
    ]
    for lane in lanes:
        next(lane)
    assert same(lanes[0].state.params, lanes[1].state.params)


def test_a_trial_without_it_keeps_its_id() -> None:
    assert "balance" not in trial().plain()
    assert type(trial()).from_plain(trial(balance="weights").plain()) == trial(balance="weights")
    assert trial(balance="weights").id != trial().id


def test_all_arms_of_a_sweep_have_it_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SWEEP)
    assert "balance" not in Sweep.read(tmp_path / "small.toml").plain()["training"]
    (tmp_path / "small.toml").write_text(SWEEP.replace("[training]", '[training]\nbalance = "weights"'))
    sweep = Sweep.read(tmp_path / "small.toml")
    assert {arm.template.balance for arm in sweep.arms} == {"weights"}
    assert sweep.plain()["training"]["balance"] == "weights"
    ended = called("run", "small.toml", "--in-process", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "ok" in set(load(tmp_path / "results" / "small").trials["status"])
    (tmp_path / "wrong.toml").write_text(SWEEP.replace("[training]", '[training]\nbalance = "focal"'))
    ended = called("check", "wrong.toml", folder=tmp_path)
    assert "training.balance" in ended.stderr and ended.stderr.count("\n") == 1
