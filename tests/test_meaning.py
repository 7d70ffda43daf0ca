"""One test of meaning per method, against a truth that regtune's code has no part in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy

from regtune.networks import Slot
from regtune.noise import Noise
from regtune.records import Epoch
from regtune.regularizers import (
    L1,
    L2,
    ConfidencePenalty,
    CosineRestarts,
    Dropout,
    EarlyStopping,
    ElasticNet,
    ExponentialDecay,
    Forward,
    GaussianDropout,
    InverseTimeDecay,
    LabelSmoothing,
    LinearDecay,
    MaxNorm,
    Mixup,
    Regularizer,
    Step,
    StochasticDepth,
    WarmUp,
    WeightDecay,
)
from regtune.state import State, Tensors


def step(number: int = 0, *, training: bool = True) -> Step:
    return Step(noise=Noise(seed=11, step=number), progress=0.0, learning_rate=0.1, training=training)


def slot(kind: str, number: int = 1, count: int = 1) -> Slot:
    made = Slot(kind)  # type: ignore[arg-type]  # tests pass the kinds as plain words
    made.number, made.count = number, count
    return made


def descend(penalty: L1 | L2, curvature: torch.Tensor, optimum: torch.Tensor, rate: float, steps: int) -> torch.Tensor:
    """Minimize 1/2 sum curvature (w - optimum)^2 + penalty by gradient descent on one weight row."""
    w = torch.zeros(1, len(optimum), dtype=torch.float64)
    for _ in range(steps):
        w = w.detach().requires_grad_()
        seen = Forward(**vars(step()), params={"weight": w}, inputs=w, targets=w, logits=w, taps={})
        loss = 0.5 * (curvature * (w - optimum).square()).sum() + penalty.penalty(seen)
        w = w - rate * torch.autograd.grad(torch.as_tensor(loss), w)[0]
    return w.detach()[0]


def test_l2_shrinks_each_direction_by_its_curvature() -> None:
    curvature = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    optimum = torch.tensor([1.0, -0.2, 0.3, -3.0], dtype=torch.float64)
    found = descend(L2(strength=0.4), curvature, optimum, rate=0.2, steps=2000)
    # Goodfellow et al. (2016), equation 7.13; gradient descent converges to rounding.
    torch.testing.assert_close(found, curvature / (curvature + 0.4) * optimum, rtol=1e-12, atol=1e-12)


def test_l1_lands_on_the_soft_threshold() -> None:
    curvature = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    optimum = torch.tensor([1.0, -0.2, 0.3, -3.0], dtype=torch.float64)
    found = descend(L1(strength=0.4), curvature, optimum, rate=1e-3, steps=20_000)
    # Equation 7.23; a subgradient hovers within rate * strength of zero, so that is the tolerance.
    expected = torch.tensor([0.2, 0.0, 0.1, -2.9], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_penalties_leave_biases_free() -> None:
    params = {"weight": torch.ones(2, 3), "bias": torch.full((2,), 100.0)}
    blank = torch.zeros(())
    seen = Forward(**vars(step()), params=params, inputs=blank, targets=blank, logits=blank, taps={})
    assert float(L1(strength=0.5).penalty(seen)) == 3.0
    assert float(L2(strength=0.5).penalty(seen)) == 1.5


@pytest.mark.parametrize("shape", [(7, 5), (6, 3, 3, 3)])
def test_max_norm_is_torch_renorm(shape: tuple[int, ...]) -> None:
    params: Tensors = {"layer.weight": torch.randn(shape, dtype=torch.float64), "layer.bias": torch.full((7,), 9.0)}
    short = params["layer.weight"][0] * 1e-3
    params["layer.weight"][0] = short
    after = MaxNorm(c=1.5).project(State(params, {}, {}, {}), step()).params
    reference = torch.renorm(params["layer.weight"], 2, 0, 1.5)
    torch.testing.assert_close(after["layer.weight"], reference, rtol=1e-6, atol=0)  # renorm adds 1e-7 to the norm
    assert torch.equal(after["layer.weight"][0], short)
    assert torch.equal(after["layer.bias"], params["layer.bias"])


def test_dropout_drops_at_its_rate_and_keeps_the_mean() -> None:
    x, p = torch.ones(400, 250), 0.3
    bent = Dropout(p_hidden=p, p_input=0.8).bend(x, slot("hidden"), step())
    dropped = int((bent == 0).sum())
    assert stats.binomtest(dropped, x.numel(), p).pvalue > 1e-4
    torch.testing.assert_close(bent[bent != 0], torch.full((x.numel() - dropped,), 1 / (1 - p)))
    assert torch.equal(Dropout().bend(x, slot("hidden"), step(training=False)), x)
    inputs = Dropout(p_hidden=p, p_input=0.8).bend(x, slot("input"), step())
    assert stats.binomtest(int((inputs == 0).sum()), x.numel(), 0.8).pvalue > 1e-4


def test_dropout_at_test_is_the_geometric_mean_over_masks() -> None:
    """With one hidden layer and softmax, exactly (Goodfellow et al. 2016, section 7.12)."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    masks = torch.tensor([[mask >> unit & 1 for unit in range(8)] for mask in range(256)], dtype=torch.float64)
    logs = torch.log_softmax((masks * hidden / 0.5) @ weight.T, -1).mean(0)
    at_test = Dropout(p_hidden=0.5).bend(hidden[None], slot("hidden"), step(training=False))
    torch.testing.assert_close(torch.softmax(at_test @ weight.T, -1)[0], torch.softmax(logs, -1), rtol=1e-12, atol=0)


@pytest.mark.parametrize("eps", [0.0, 0.015, 0.1, 0.5])
def test_label_smoothing_is_torchs(eps: float) -> None:
    logits, labels = torch.randn(32, 3, dtype=torch.float64), torch.arange(32) % 3
    one_hot = torch.eye(3, dtype=torch.float64)[labels]
    _, y = LabelSmoothing(eps=eps).augment(logits, one_hot, step())
    ours = -(y * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(ours, cross_entropy(logits, labels, label_smoothing=eps), rtol=1e-12, atol=0)


def test_label_smoothing_example_of_the_lecture() -> None:
    """K = 3 and alpha = 0.01 on the wrong classes is eps = 0.015 over all: (0.005, 0.99, 0.005)."""
    _, y = LabelSmoothing(eps=0.015).augment(torch.zeros(1, 1), torch.tensor([[0.0, 1.0, 0.0]]), step())
    torch.testing.assert_close(y, torch.tensor([[0.005, 0.99, 0.005]]))


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_draws_its_coefficient_from_beta_and_mixes_linearly(alpha: float) -> None:
    x, y = torch.arange(6.0).view(6, 1, 1, 1) / 5, torch.eye(6)
    shares = []
    for number in range(1500):
        mixed_x, mixed_y = Mixup(alpha=alpha).augment(x, y, step(number))
        share = float(mixed_y[3, 3])
        shares.append(share)
        torch.testing.assert_close(mixed_y[3, 2], torch.tensor(1 - share), rtol=0, atol=1e-6)
        torch.testing.assert_close(mixed_x[3], share * x[3] + (1 - share) * x[2], rtol=0, atol=1e-6)
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    # Var(lambda) = 1 / (4 (2 alpha + 1)); its standard error here is below 3 %, four of them are allowed.
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.12)


def test_mixup_loss_is_the_mix_of_two_losses() -> None:
    x, y = torch.rand(5, 1, 2, 2, dtype=torch.float64), torch.eye(5, dtype=torch.float64)
    logits = torch.randn(5, 5, dtype=torch.float64)
    _, mixed = Mixup(alpha=1.0).augment(x, y, step())
    share = float(mixed[0, 0])
    own, partner = cross_entropy(logits, torch.arange(5)), cross_entropy(logits, torch.arange(5).roll(1))
    ours = -(mixed * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(ours, share * own + (1 - share) * partner, rtol=1e-6, atol=0)


def test_stochastic_depth_runs_the_papers_number_of_blocks() -> None:
    """L = 54 and p_L = 0.5 execute (3 L - 1) / 4 = 40.25 blocks on average (Huang et al. 2016)."""
    count, steps = 54, 300
    method, ran = StochasticDepth(p_last=0.5), 0
    for number in range(steps):
        for block in range(1, count + 1):
            branch = method.bend(torch.ones_like, slot("residual", block, count), step(number))
            ran += int(branch(torch.zeros(2)).sum()) // 2  # 2 where the block ran, for the whole batch
    spread = math.sqrt(sum(p * (1 - p) for p in (1 - b / count * 0.5 for b in range(1, count + 1))))
    assert ran / steps == pytest.approx(40.25, abs=4 * spread / math.sqrt(steps))


def test_stochastic_depth_scales_by_survival_at_test() -> None:
    last, middle = slot("residual", 4, 4), slot("residual", 2, 4)
    x, method = torch.rand(3, 5), StochasticDepth(p_last=0.4)
    torch.testing.assert_close(method.bend(nn.Identity(), last, step(training=False))(x), 0.4 * x)
    torch.testing.assert_close(method.bend(nn.Identity(), middle, step(training=False))(x), 0.7 * x)


TRACE = (0.50, 0.40, 0.42, 0.41, 0.39, 0.40, 0.41, 0.42)


@pytest.mark.parametrize(("patience", "evaluations", "best"), [(1, 3, 2), (2, 4, 2), (3, 8, 5), (4, 8, 5)])
def test_early_stopping_follows_algorithm_7_1(patience: int, evaluations: int, best: int) -> None:
    assert follow(EarlyStopping(patience=patience), TRACE) == (evaluations, best)


def test_early_stopping_counts_ties_and_missing_numbers_as_failures() -> None:
    assert follow(EarlyStopping(patience=2), (0.5, 0.5, None, 0.1)) == (3, 1)
    assert follow(EarlyStopping(patience=1, monitor="val_error"), (0.5, 0.4)) == (2, 1)  # accuracy stays 0.5


def follow(method: EarlyStopping, trace: tuple[float | None, ...]) -> tuple[int, int]:
    """Return how many epochs were evaluated and which one is kept."""
    epochs: list[Epoch] = []
    for number, value in enumerate(trace, start=1):
        epoch = Epoch(
            number=number, objective=0.0, train_accuracy=0.5, train_loss=0.0, val_accuracy=0.5, val_loss=value,
            learning_rate=0.1, kept=0, seconds=0.0,
        )  # fmt: skip
        epochs.append(dataclasses.replace(epoch, kept=method.keep([*epochs, epoch])))
        if method.stop(epochs):
            break
    return len(epochs), epochs[-1].kept


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
        (CosineRestarts(lowest=0.0, cycles=2, stretch=2), lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4, 2)),
        (InverseTimeDecay(rate=3.0), lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + 3.0 * step / 12))),
    ]
    for ours, theirs in pairs:
        assert rates(ours) == pytest.approx(torch_rates(theirs), rel=1e-6, abs=1e-9), ours


def test_restarts_of_the_published_vector() -> None:
    """T_0 = 10, T_mult = 2: restarts at 10, 30 and 70 of 150 epochs, half way down at 5, 20 and 50."""
    method = CosineRestarts(cycles=4, stretch=2)
    at = {epoch: float(method.schedule(epoch / 150)) for epoch in (0, 5, 10, 20, 30, 50, 70, 110)}
    assert at == pytest.approx({0: 1, 5: 0.5, 10: 1, 20: 0.5, 30: 1, 50: 0.5, 70: 1, 110: 0.5}, abs=1e-9)


def test_weight_decay_shrinks_weights_by_themselves() -> None:
    """Ten steps without gradient, learning rate and strength 0.1: 0.99 ** 10, whatever the momentum."""
    state = State({"weight": torch.ones(2, 2, dtype=torch.float64), "bias": torch.ones(2)}, {}, {}, {})
    for number in range(10):
        state = WeightDecay(strength=0.1).project(state, step(number))
    torch.testing.assert_close(state.params["weight"], torch.full((2, 2), 0.99**10, dtype=torch.float64))
    assert torch.equal(state.params["bias"], torch.ones(2))


def test_elastic_net_is_its_two_parts() -> None:
    weight, blank = torch.tensor([[3.0, -4.0]], dtype=torch.float64), torch.zeros(())
    seen = Forward(**vars(step()), params={"w": weight}, inputs=blank, targets=blank, logits=blank, taps={})
    assert float(ElasticNet(strength=0.1, l1_share=0.5).penalty(seen)) == pytest.approx(0.1 * (0.5 * 7 + 0.25 * 25))
    both = float(L1(strength=0.05).penalty(seen)) + float(L2(strength=0.05).penalty(seen))
    assert float(ElasticNet(strength=0.1, l1_share=0.5).penalty(seen)) == pytest.approx(both)


def test_confidence_penalty_is_minus_the_entropy() -> None:
    logits, blank = torch.tensor([[0.0, 0.0, 0.0, 0.0], [2.0, 0.0, -1.0, 0.5]], dtype=torch.float64), torch.zeros(())
    seen = Forward(**vars(step()), params={}, inputs=blank, targets=blank, logits=logits, taps={})
    entropies = [stats.entropy(row) for row in logits.softmax(-1).tolist()]
    assert entropies[0] == pytest.approx(math.log(4))
    assert float(ConfidencePenalty(strength=0.3).penalty(seen)) == pytest.approx(-0.3 * np.mean(entropies))


def test_gaussian_dropout_has_the_mean_and_variance_of_dropout() -> None:
    x, p = torch.ones(400, 250), 0.3
    bent = GaussianDropout(p_hidden=p).bend(x, slot("hidden"), step()).double()
    # Standard errors for 100,000 draws: 0.002 of the mean, 0.5 % of the variance; five of them are allowed.
    assert float(bent.mean()) == pytest.approx(1, abs=0.01)
    assert float(bent.var()) == pytest.approx(p / (1 - p), rel=0.025)
    assert torch.equal(GaussianDropout(p_hidden=p).bend(x, slot("hidden"), step(training=False)), x)
