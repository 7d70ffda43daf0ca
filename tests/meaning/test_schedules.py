"""Schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from regtune.regularizers import (
    CosineRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    Regularizer,
    Staircase,
    WarmUp,
)
from regtune.training.lane import Lane
from regtune.training.updates import UpdatePlan
from tests.conftest import small_trial, trained


def rates(method: Regularizer, steps: int = 12) -> list[float]:
    return [float(method.schedule(step / steps)) for step in range(steps)]


def torch_rates(
    make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler], steps: int = 12
) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, seen = make(optimizer), []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_schedules_are_torchs() -> None:
    """Float arithmetic on both sides; 1e-6 because some knobs pass through float32."""
    schedulers = torch.optim.lr_scheduler
    pairs = [
        (ExponentialDecay(last=0.01), lambda o: schedulers.ExponentialLR(o, 0.01 ** (1 / 12))),
        (LinearDecay(last=0.1), lambda o: schedulers.LinearLR(o, 1.0, 0.1, total_iters=12)),
        (WarmUp(share=0.5, first=0.25), lambda o: schedulers.LinearLR(o, 0.25, 1.0, total_iters=6)),
        (CosineRestarts(lowest=0.0, cycles=1), lambda o: schedulers.CosineAnnealingLR(o, 12)),
        (CosineRestarts(lowest=0.25, cycles=1), lambda o: schedulers.CosineAnnealingLR(o, 12, eta_min=0.25)),
        (CosineRestarts(lowest=0.0, cycles=2, stretch=2), lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4, 2)),
        (InverseTimeDecay(rate=3.0), lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + 3.0 * step / 12))),
        (Staircase(factor=0.2, milestones=(0.5, 0.75)), lambda o: schedulers.MultiStepLR(o, [6, 9], 0.2)),
        (Staircase(factor=0.1, milestones=(0.25,)), lambda o: schedulers.MultiStepLR(o, [3], 0.1)),
    ]
    for ours, theirs in pairs:
        assert rates(ours) == pytest.approx(torch_rates(theirs), rel=1e-6, abs=1e-9), ours


def test_restarts_of_the_published_vector() -> None:
    """T_0 = 10, T_mult = 2: restarts at 10, 30 and 70 of 150 epochs, half way down at 5, 20 and 50."""
    method = CosineRestarts(cycles=4, stretch=2)
    at = {epoch: float(method.schedule(epoch / 150)) for epoch in (0, 5, 10, 20, 30, 50, 70, 110)}
    assert at == pytest.approx({0: 1, 5: 0.5, 10: 1, 20: 0.5, 30: 1, 50: 0.5, 70: 1, 110: 0.5}, abs=1e-9)


@pytest.mark.parametrize(("epoch", "rate"), [(9.999, 1.2337e-9), (149.9, 1.93e-7)])
def test_rates_at_the_end_of_a_cycle_are_the_published_ones(epoch: float, rate: float) -> None:
    """From 0.05 to 0; the reference has five and three digits, half of the last one is allowed."""
    found = 0.05 * float(CosineRestarts(cycles=4, stretch=2).schedule(epoch / 150))
    assert found == pytest.approx(rate, rel=0.0005 if epoch < 10 else 0.005)


def test_inverse_time_is_the_published_schedule_of_deepnet() -> None:
    """Half-life 10,000 of 1,000,000 updates: 1, 0.5, 0.090909 and 0.00990099, six digits."""
    method = InverseTimeDecay(rate=100.0)
    found = [float(method.schedule(update / 1e6)) for update in (0, 1e4, 1e5, 1e6)]
    assert found == pytest.approx([1, 0.5, 0.090909, 0.00990099], rel=1e-5)


@pytest.mark.parametrize(
    ("budget", "milestones", "drops"),
    [
        (64_000, (0.5, 0.75), (32_000, 48_000)),  # He et al. (2016): ResNets on CIFAR-10
        (200, (0.3, 0.6, 0.8), (60, 120, 160)),  # Wide ResNets
        (500, (0.5, 0.75), (250, 375)),  # stochastic depth
        (7800, (0.1, 0.7, 0.9), (780, 5460, 7020)),
    ],
)
def test_the_staircase_drops_exactly_at_its_milestones(
    budget: int, milestones: tuple[float, ...], drops: tuple[int, ...]
) -> None:
    """The update before is still above, the update at the milestone below: torch's MultiStepLR, no off by one."""
    method = Staircase(factor=0.1, milestones=milestones)
    (update_plan,) = [UpdatePlan(budget=budget, updates=budget, per_epoch=budget).in_epoch(1)]
    factors = [method.schedule(update.progress) for update in update_plan]
    assert [k for k in range(1, budget) if factors[k] != factors[k - 1]] == list(drops)
    reference = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, list(drops), 0.1), budget)
    assert factors == pytest.approx(reference, rel=1e-12)


def test_training_drops_at_the_epoch_of_the_milestone_resumed_or_not() -> None:
    """Of 8 epochs the 5th and the 7th are the first below; a lane that goes on from epoch 5 sees the same rates."""
    trial = small_trial([{"name": "staircase", "factor": 0.1, "milestones": [0.5, 0.75]}], epochs=8)
    expected = [0.1] * 4 + [0.01] * 2 + [0.001] * 2
    found = [epoch.learning_rate for epoch in trained(trial).epochs[0]]
    assert found == pytest.approx(expected, rel=1e-6)  # knobs are float32
    first = Lane((trial,))
    for _ in range(5):
        next(first)
    resumed = Lane((trial,), resume=first.checkpoint())
    list(resumed)
    assert [epoch.learning_rate for epoch in resumed.epochs[0]] == found


def test_warm_up_ends_where_it_says() -> None:
    """Goyal et al. (2017): a line from `first`, then the full rate; 5 of 90 epochs."""
    method = WarmUp(share=5 / 90, first=1 / 32)
    found = [float(method.schedule(epoch / 90)) for epoch in (0, 1, 4, 5, 6, 89)]
    line = [1 / 32 + (1 - 1 / 32) * epoch / 5 for epoch in (0, 1, 4)]
    assert found == pytest.approx([*line, 1, 1, 1], rel=1e-6)
    assert math.isclose(float(WarmUp(share=0.0).schedule(0.0)), 1.0)
