"""Stochastic depth."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy import stats
from torch import nn

from regtune.core.records import Json, Trial
from regtune.core.rng import Rng
from regtune.core.state import Tensors, TrainState
from regtune.regularizers import StochasticDepth
from regtune.training.lane import Lane
from tests.conftest import same, small_trial, trained
from tests.meaning.tools import branch, slot, states, step

PLUGINS = ("tests.plugin_things",)
DEEP = {"name": "mlp", "widths": [4] * 55, "residual": True}  # 54 blocks, as ResNet-110 has them


def depth(**settings: Any) -> Json:
    return {"name": "stochastic_depth", **settings}


def norm_trial(*recipe: Json, **changes: Any) -> Trial:
    """Return a trial of a residual network with BatchNorm in its three branches."""
    return small_trial(recipe, network={"name": "residual_norm_net", "blocks": 3}, plugins=PLUGINS, **changes)


def of_block(tensors: Tensors, block: int) -> Tensors:
    """Return what belongs to the branch of a block, from 1."""
    return {name: t for name, t in tensors.items() if name.startswith(f"branches.{block - 1}.")}


def binomial_spread(survivals: list[float]) -> float:
    return math.sqrt(sum(p * (1 - p) for p in survivals))


def test_stochastic_depth_runs_the_papers_number_of_blocks() -> None:
    """L = 54 and p_L = 0.5 execute (3 L - 1) / 4 = 40.25 blocks on average (Huang et al. 2016).

    300 draws of all blocks; four standard errors are allowed.
    """
    count, steps = 54, 300
    method, ran = StochasticDepth(p_last=0.5), 0
    for number in range(steps):
        for block in range(1, count + 1):
            bent = method.bend(branch(nn.Identity()), slot("residual", block, count), step(number))
            ran += int(bent(torch.ones(2)).sum()) // 2  # 2 where the block ran, for the whole batch
    spread = binomial_spread([1 - block / count * 0.5 for block in range(1, count + 1)])
    assert ran / steps == pytest.approx(40.25, abs=4 * spread / math.sqrt(steps))


@pytest.mark.parametrize(("rule", "mean"), [("linear", 40.25), ("uniform", 27.0)])
def test_a_deep_network_really_runs_that_many_branches(rule: str, mean: float) -> None:
    """Over 120 updates of a training; four standard errors are allowed. Without the method all 54 run."""
    trial = small_trial([depth(p_last=0.5, rule=rule)], network=DEEP, epochs=10, batch=4)
    epochs = trained(trial).epochs[0]
    survivals = [1 - block / 54 * 0.5 if rule == "linear" else 0.5 for block in range(1, 55)]
    assert sum(survivals) == pytest.approx(mean)
    average = sum(epoch.branches for epoch in epochs) / len(epochs)
    assert average == pytest.approx(mean, abs=4 * binomial_spread(survivals) / math.sqrt(120))
    plain = Lane((dataclasses.replace(trial, recipe=()),))
    assert next(plain)[0].branches == 54.0  # type: ignore[union-attr]  # it goes on


def test_stochastic_depth_scales_by_survival_at_test() -> None:
    last, middle = slot("residual", 4, 4), slot("residual", 2, 4)
    x, method = torch.rand(3, 5, generator=torch.Generator().manual_seed(0)), StochasticDepth(p_last=0.4)
    identity, now = branch(nn.Identity()), step(training=False)
    torch.testing.assert_close(method.bend(identity, last, now)(x), 0.4 * x)
    torch.testing.assert_close(method.bend(identity, middle, now)(x), 0.7 * x)
    everywhere = StochasticDepth(p_last=0.4, rule="uniform")
    torch.testing.assert_close(everywhere.bend(identity, middle, now)(x), 0.4 * x)
    assert torch.equal(StochasticDepth(p_last=0.4, scaling="train").bend(identity, last, now)(x), x)


@pytest.mark.parametrize("scaling", ["train", "test"])
def test_per_batch_all_rows_share_one_draw_at_the_survival_of_the_block(scaling: str) -> None:
    """Dropped in 2,000 steps as a binomial with p_2 = 1 - 2/4 * 0.6 = 0.7, p-value above 1e-4.

    Kept, the branch is itself, or divided by 0.7: torchvision's two outputs, and its mean.
    """
    from torchvision.ops import stochastic_depth

    method, x = StochasticDepth(p_last=0.4, scaling=scaling), torch.arange(1.0, 7.0).view(3, 2)
    outputs = [method.bend(branch(nn.Identity()), slot("residual", 2, 4), step(n))(x).expand(3, 2) for n in range(2000)]
    kept = [o for o in outputs if bool(o.any())]
    assert stats.binomtest(len(kept), 2000, 0.7).pvalue > 1e-4
    torch.manual_seed(0)
    reference = max((stochastic_depth(x, 0.3, "batch", training=True) for _ in range(20)), key=torch.sum)
    for output in kept:
        torch.testing.assert_close(output, reference if scaling == "train" else x)


@pytest.mark.parametrize("scaling", ["train", "test"])
def test_per_example_every_row_has_its_own_draw(scaling: str) -> None:
    """20,000 rows at survival 0.7, p-value above 1e-4; neighbouring rows agree as independent ones do."""
    from torchvision.ops import stochastic_depth

    method = StochasticDepth(p_last=0.7, rule="uniform", per="example", scaling=scaling)
    x = torch.arange(1.0, 40_001.0).view(20_000, 2)
    output = method.bend(branch(nn.Identity()), slot("residual", 1, 3), step())(x)
    kept = output.any(1)
    assert stats.binomtest(int(kept.sum()), 20_000, 0.7).pvalue > 1e-4
    assert stats.binomtest(int((kept[1:] == kept[:-1]).sum()), 19_999, 0.7**2 + 0.3**2).pvalue > 1e-4
    torch.manual_seed(0)
    theirs = stochastic_depth(x, 0.3, "row", training=True)
    both = kept & theirs.any(1)
    torch.testing.assert_close(output[both], theirs[both] if scaling == "train" else x[both])


def test_a_branch_dropped_has_no_gradient_and_momentum_still_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With p_last = 0 the last of three blocks never runs, with momentum 0.9 the first may at any step.

    Where it does not, its velocity is bitwise 0.9 times what it was, in float32, and moves it by the rate.
    """
    noted = states(norm_trial(depth(p_last=0.0), epochs=8), monkeypatch)
    coasted = 0
    for block in (1, 2, 3):
        for before, after in pairwise(noted):
            held, moved = (of_block(s.moments["velocity"], block) for s in (before, after))
            if not all(torch.equal(moved[name], torch.tensor(0.9) * v) for name, v in held.items()):
                assert block < 3
                continue
            coasted += any(bool(v.any()) for v in held.values())
            for name, v in moved.items():
                # addcmul may round once where a product and a difference round twice
                assert torch.equal(after.params[name], torch.addcmul(before.params[name], v, torch.tensor(-0.1)))
    assert coasted > 5
    assert not any(bool(v.any()) for v in of_block(noted[-1].moments["velocity"], 3).values())


def masking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no trial look at its draws on the host, so that it must mask."""
    monkeypatch.setattr(Rng, "host", lambda self: None)


@pytest.mark.parametrize("scaling", ["train", "test"])
def test_skipping_and_masking_a_branch_are_the_same_trial_bit_for_bit(
    scaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, velocities, BatchNorm's buffers and all that is measured; only the work differs."""
    trial = norm_trial(depth(p_last=0.3, scaling=scaling), epochs=6)
    skipped = trained(trial)
    masking(monkeypatch)
    masked = trained(trial)
    assert same(skipped.state.params, masked.state.params)
    assert same(skipped.state.moments["velocity"], masked.state.moments["velocity"])
    assert same(skipped.state.buffers, masked.state.buffers)
    both = zip(skipped.epochs[0], masked.epochs[0], strict=True)
    assert all(a.numbers() | {"branches": 0} == b.numbers() | {"branches": 0} for a, b in both)
    assert sum(epoch.branches for epoch in skipped.epochs[0]) < 3 * 6
    assert [epoch.branches for epoch in masked.epochs[0]] == [3.0] * 6


@pytest.mark.parametrize("way", ["alone", "masked", "lane"])
def test_a_branch_dropped_keeps_its_batchnorm_buffers(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block never runs, so its buffers are those of torch's fresh BatchNorm; counters say who ran."""
    if way == "masked":
        masking(monkeypatch)
    trials = [norm_trial(depth(p_last=0.0), epochs=2, seed=seed) for seed in (1, 2)]
    lane = Lane(trials if way == "lane" else trials[:1])
    list(lane)
    buffers = {n: b[0] if way == "lane" else b for n, b in lane.state.buffers.items()}
    fresh = {f"branches.2.1.{name}": b for name, b in nn.BatchNorm1d(8).named_buffers()}
    assert same(of_block(buffers, 3), fresh)
    ran = [int(buffers[f"branches.{block}.1.num_batches_tracked"]) for block in (0, 1)]
    expected = [
        sum(float(Rng(seed=1, step=n, prefix="step/stochastic_depth.0/").uniform(f"residual{b}")) < 1 - b / 3
            for n in range(6))
        for b in (1, 2)
    ]  # fmt: skip
    assert ran == expected
    assert 0 < sum(ran) < 12
    assert bool(of_block(buffers, 1)["branches.0.1.running_var"].ne(1).all())


def test_a_lane_member_takes_the_step_of_the_trial_alone_with_its_buffers() -> None:
    """One step each; vmap sums in another order: 1e-6 in float32, counters equal. Dropping differs by member."""
    differing = 0
    for seed in range(1, 7):
        trials = [norm_trial(depth(p_last=0.3), seed=s, batch=48) for s in (seed, seed + 100)]
        lane, alone = Lane(trials), Lane(trials[:1])
        next(lane), next(alone)
        for part, ours in (("params", lane.state.params), ("buffers", lane.state.buffers)):
            for name, value in getattr(alone.state, part).items():
                torch.testing.assert_close(ours[name][0], value, rtol=1e-6, atol=1e-6)
        counts = [b for name, b in lane.state.buffers.items() if name.endswith("num_batches_tracked")]
        differing += sum(int(count[0]) != int(count[1]) for count in counts)
    assert differing > 0


def test_survival_of_every_block_is_baseline() -> None:
    """p_L = 1: bit for bit, whichever way it draws and scales."""
    baseline = trained(norm_trial()).state
    for per in ("batch", "example"):
        ours: TrainState = trained(norm_trial(depth(p_last=1.0, per=per, scaling="train"))).state
        assert same(ours.params, baseline.params)
        assert same(ours.buffers, baseline.buffers)
