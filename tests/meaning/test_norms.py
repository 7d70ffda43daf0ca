"""Prices on weights and bounds of weights: L2, L1, elastic net, weight decay, L2-SP, max-norm, KL sparsity."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch import Tensor
from torch.nn.functional import cross_entropy

from regtune.core.errors import Refused
from regtune.core.state import Tensors, TrainState
from regtune.optimizers import SGD, AdamW, Optimizer
from regtune.regularizers import L1, L2, L2SP, ElasticNet, KLSparsity, MaxNorm, Regularizer, WeightDecay
from regtune.training.trainer import train
from tests.conftest import same, small_trial, trained
from tests.meaning.tools import (
    Valley,
    batches,
    descended,
    exact,
    in_float64,
    minimum,
    ordinary,
    seen,
    split_groups,
    states,
    step,
)

CURVATURE = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
OPTIMUM = torch.tensor([1.0, -0.2, 0.3, -3.0], dtype=torch.float64)
SOFT = torch.tensor([0.2, 0.0, 0.1, -2.9], dtype=torch.float64)  # the reference's vector for beta = 0.4


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# L2


def test_l2_shrinks_each_direction_by_its_curvature() -> None:
    """Goodfellow et al. (2016), equation 7.13, along the axes of a tilted Hessian, by training (O-L2-1).

    Gradient descent contracts by 0.82 per step, so after 400 only rounding is left: 1e-12.
    """
    axes = torch.linalg.qr(random(4, 4))[0]
    found = minimum(Valley(axes @ CURVATURE.diag() @ axes.T, OPTIMUM), [L2(strength=0.4)], rate=0.2, steps=400)
    expected = CURVATURE / (CURVATURE + 0.4) * (axes.T @ OPTIMUM)
    torch.testing.assert_close(axes.T @ found, expected, rtol=1e-12, atol=1e-12)


def test_l2_trains_softmax_regression_to_the_optimum_of_its_objective() -> None:
    """The price is convex with its optimum where gradient + strength * w is 0, and the biases' gradient is.

    500 full-batch updates with momentum 0.75 at curvatures above 0.125 leave rounding: 1e-10.
    """
    trial = dataclasses.replace(
        in_float64(learning_rate=0.5, momentum=0.75, recipe=({"name": "l2", "strength": 0.125},)),
        network={"name": "mlp", "widths": []}, epochs=500, batch=48,
    )  # fmt: skip
    lane = trained(trial)
    (batch,) = batches(trial, 1)
    weight, bias = (lane.state.params[f"head.{kind}"].requires_grad_() for kind in ("weight", "bias"))
    flat = batch.images.double().flatten(1)
    x = (flat - lane.state.buffers["normalize.mean"].item()) / lane.state.buffers["normalize.std"].item()
    slopes = torch.autograd.grad(cross_entropy(x @ weight.T + bias, batch.labels), [weight, bias])
    torch.testing.assert_close(slopes[0], -0.125 * weight.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(slopes[1], torch.zeros_like(slopes[1]), rtol=0, atol=1e-10)


def test_l2_is_torchs_coupled_weight_decay_on_weights_alone() -> None:
    """A whole training with momentum (O-L2-4); float64 rounding stays below 1e-10 in 9 updates."""
    trial = in_float64(recipe=({"name": "l2", "strength": 0.125},))
    ours = trained(trial).state.params
    coupled = ordinary(trial, lambda n: torch.optim.SGD(split_groups(n, weight_decay=0.125), lr=0.125, momentum=0.875))
    for name, p in coupled.net.named_parameters():
        torch.testing.assert_close(ours[name], p.detach(), rtol=0, atol=1e-10)
    all_decay = ordinary(trial, lambda n: torch.optim.SGD(n.parameters(), lr=0.125, momentum=0.875, weight_decay=0.125))
    assert differs(ours["head.bias"], all_decay.net.get_parameter("head.bias"))  # torch's decays biases too
    decoupled = dataclasses.replace(trial, recipe=({"name": "weight_decay", "strength": 0.125},))
    assert differs(ours["head.weight"], trained(decoupled).state.params["head.weight"])


def test_l2_under_adam_is_torchs_adam_and_not_adamw() -> None:
    """1e-9, because betas and eps reach regtune's optimizer through float32 and torch's are given as such."""
    settings = {"learning_rate": 0.0078125, "beta1": 0.875, "beta2": 0.96875, "eps": 2.0**-20, "weight_decay": 0.0}
    trial = dataclasses.replace(
        in_float64(recipe=({"name": "l2", "strength": 0.125},)), optimizer={"name": "adamw", **settings}
    )
    ours = trained(trial).state.params
    same_settings: dict[str, Any] = {"lr": 0.0078125, "betas": (0.875, 0.96875), "eps": 2.0**-20}
    adam = ordinary(trial, lambda net: torch.optim.Adam(split_groups(net, weight_decay=0.125), **same_settings))
    adamw = ordinary(trial, lambda net: torch.optim.AdamW(split_groups(net, weight_decay=0.125), **same_settings))
    for name, p in adam.net.named_parameters():
        torch.testing.assert_close(ours[name], p.detach(), rtol=0, atol=1e-9)
    assert differs(ours["head.weight"], adamw.net.get_parameter("head.weight"))


def differs(a: Tensor, b: Tensor) -> bool:
    return not torch.allclose(a, b.detach(), rtol=0, atol=1e-4)


def flat_momentum(momentum: float) -> float:
    """Return w after ten steps of w <- w - 0.1 v, v <- momentum v + 0.1 w from 1, in Python."""
    w, v = 1.0, 0.0
    for _ in range(10):
        v = momentum * v + 0.1 * w
        w -= 0.1 * v
    return w


@pytest.mark.parametrize(
    ("method", "optimizer", "published", "expected"),
    [
        (L2(strength=0.1), SGD(learning_rate=0.1, momentum=0.0), 0.904, 0.99**10),
        (L2(strength=0.1), SGD(learning_rate=0.1, momentum=0.9), 0.621, flat_momentum(0.9)),
        (WeightDecay(strength=0.1), SGD(learning_rate=0.1, momentum=0.0), 0.904, 0.99**10),
        (WeightDecay(strength=0.1), SGD(learning_rate=0.1, momentum=0.9), 0.904, 0.99**10),
        (WeightDecay(strength=0.1), AdamW(learning_rate=0.01), 0.990, 0.999**10),
        (L2(strength=0.1), AdamW(learning_rate=0.01), 0.900, None),
    ],
)
def test_decay_without_gradient_is_that_of_the_reference(
    method: Regularizer, optimizer: Optimizer, published: float, expected: float | None
) -> None:
    """O-L2-2: ten steps, rate and strength 0.1 (Adam: rate 0.01), from 1; and O-L2-3: the bias stays.

    The published numbers have three digits. The recurrences are exact but for rounding: 1e-12. Adam with L2
    moves by nearly its learning rate per step, whatever the strength: ten steps of 0.01.
    """
    valley = Valley(torch.zeros(1, 1), torch.zeros(1), start=torch.ones(1))
    *_, last = descended(valley, [method], 10, optimizer)
    w = float(last.state.params["weight"])
    assert w == pytest.approx(published, abs=5e-4)
    if expected is not None:
        assert w == pytest.approx(expected, rel=1e-12)
    assert torch.equal(last.state.params["bias"], valley.bias)


# weight decay


def test_weight_decay_shrinks_weights_by_themselves() -> None:
    """Ten steps without gradient, learning rate and strength 0.1: 0.99 ** 10, whatever the momentum."""
    state = TrainState({"weight": torch.ones(2, 2, dtype=torch.float64), "bias": torch.ones(2)}, {}, {}, {})
    for number in range(10):
        state = WeightDecay(strength=0.1).project(state, step(number))
    torch.testing.assert_close(state.params["weight"], torch.full((2, 2), 0.99**10, dtype=torch.float64))
    assert torch.equal(state.params["bias"], torch.ones(2))


def test_weight_decay_is_adamws_up_to_the_order_of_its_two_parts() -> None:
    """torch decays, then moves by -lr u; we move, then decay: lr^2 * strength * u apart after one step, to rounding."""
    start, rate, strength = torch.tensor([1.0, -2.0]), 0.1, 0.5
    reference = start.double().requires_grad_()
    optimizer = torch.optim.AdamW([reference], lr=rate, weight_decay=strength)
    gradient = torch.tensor([0.5, -3.0], dtype=torch.float64)
    reference.grad = gradient.clone()
    optimizer.step()
    (last,) = descended(
        Valley(torch.eye(2), start - gradient.float(), start),
        [WeightDecay(strength=strength)],
        1,
        AdamW(learning_rate=rate),
    )
    moved = gradient / (gradient.abs() + 1e-8)  # Adam's first move
    apart = last.state.params["weight"][0] - reference.detach()
    torch.testing.assert_close(apart, rate**2 * strength * moved, rtol=1e-10, atol=1e-14)


def test_weight_decay_is_l2_for_plain_descent_up_to_the_rate_squared() -> None:
    """lr^2 * strength * gradient apart after one step, to rounding."""
    start, gradient, ends = torch.tensor([1.0, -2.0]), torch.tensor([0.5, -3.0]), []
    for method in (WeightDecay(strength=0.5), L2(strength=0.5)):
        valley = Valley(torch.eye(2), start - gradient, start)
        (last,) = descended(valley, [method], 1, SGD(learning_rate=0.1, momentum=0.0))
        ends.append(last.state.params["weight"][0])
    torch.testing.assert_close(ends[0] - ends[1], 0.1**2 * 0.5 * gradient.double(), rtol=1e-10, atol=1e-14)


# L1 and elastic net


def test_l1_lands_on_the_soft_threshold() -> None:
    """Equation 7.23. A subgradient hovers within about rate * strength of zero, so that is the tolerance."""
    found = minimum(Valley(CURVATURE.diag(), OPTIMUM), [L1(strength=0.4)], rate=4e-3, steps=5000)
    torch.testing.assert_close(found, SOFT, rtol=0, atol=1.6e-3)
    assert int((found == 0).sum()) == 0


def test_proximal_l1_is_ista() -> None:
    """ISTA with rate 0.2 reproduces the reference's vector to rounding, 1e-12, its zero exactly."""
    found = minimum(Valley(CURVATURE.diag(), OPTIMUM), [L1(strength=0.4, method="proximal")], rate=0.2, steps=2000)
    torch.testing.assert_close(found, SOFT, rtol=0, atol=1e-12)
    assert (found == 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("method", ["subgradient", "proximal"])
@pytest.mark.parametrize("epochs", [4, 5])
def test_l1_towards_the_end_begins_at_the_first_update_of_its_time(
    epochs: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 updates the 7th is the first with a half behind it, of 15 the 9th; before, bits are equal."""
    l2 = {"name": "l2", "strength": 0.01}
    late = {"name": "l1", "strength": 0.01, "start": 0.5, "method": method}
    alone = states(small_trial([l2], epochs=epochs), monkeypatch)
    both = states(small_trial([l2, late], epochs=epochs), monkeypatch)
    first = {4: 6, 5: 8}[epochs]
    assert len(alone) == 3 * epochs
    assert [same(a.params, b.params) for a, b in zip(alone, both, strict=True)] == [
        n < first for n in range(3 * epochs)
    ]


def test_penalties_leave_biases_free() -> None:
    now = seen(params={"weight": torch.ones(2, 3), "bias": torch.full((2,), 100.0)})
    assert float(L1(strength=0.5).penalty(now)) == 3.0
    assert float(L2(strength=0.5).penalty(now)) == 1.5


def test_elastic_net_is_its_two_parts() -> None:
    now = seen(params={"w": torch.tensor([[3.0, -4.0]], dtype=torch.float64)})
    assert float(ElasticNet(strength=0.1, l1_share=0.5).penalty(now)) == pytest.approx(0.1 * (0.5 * 7 + 0.25 * 25))
    both = float(L1(strength=0.05).penalty(now)) + float(L2(strength=0.05).penalty(now))
    assert float(ElasticNet(strength=0.1, l1_share=0.5).penalty(now)) == pytest.approx(both)


def test_elastic_net_has_the_optimum_of_scikit_learns() -> None:
    """At its solution our subgradient is 0, or can be chosen 0 where a weight is; it solves to 1e-10."""
    from sklearn.linear_model import ElasticNet as Reference

    x, noise = random(60, 5), random(60, seed=1)
    y = x @ torch.tensor([1.0, -2.0, 0.0, 0.05, 0.0], dtype=torch.float64) + 0.1 * noise
    fitted = Reference(alpha=0.3, l1_ratio=0.7, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y)
    w = torch.tensor(fitted.coef_)[None].requires_grad_()
    price = exact(ElasticNet(strength=0.3, l1_share=0.7)).penalty(seen(params={"w": w}))
    slope = torch.autograd.grad((y - x @ w[0]).square().sum() / (2 * 60) + price, w)[0][0]
    zero = w.detach()[0] == 0
    assert 0 < int(zero.sum()) < 5
    torch.testing.assert_close(slope[~zero], torch.zeros_like(slope[~zero]), rtol=0, atol=1e-9)
    assert bool((slope[zero].abs() <= 0.3 * 0.7).all())


# L2-SP


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_l2_sp_shrinks_towards_the_start(scale: float) -> None:
    """The minimum of the quadratic is (H + a I)^-1 (H w* + a w0); descent contracts below 0.9 per step: 1e-12."""
    axes, start = torch.linalg.qr(random(4, 4))[0], scale * random(4, seed=1)
    hessian = axes @ CURVATURE.diag() @ axes.T
    found = minimum(Valley(hessian, OPTIMUM, start), [L2SP(strength=0.4)], rate=0.2, steps=400)
    expected = torch.linalg.solve(hessian + 0.4 * torch.eye(4, dtype=torch.float64), hessian @ OPTIMUM + 0.4 * start)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


# max-norm


@pytest.mark.parametrize("shape", [(7, 5), (6, 3, 3, 3)])
def test_max_norm_is_torch_renorm(shape: tuple[int, ...]) -> None:
    weight = random(*shape)
    weight[0] *= 1e-3
    params: Tensors = {"layer.weight": weight, "layer.bias": torch.full((7,), 9.0)}
    after = MaxNorm(c=1.5).project(TrainState(params, {}, {}, {}), step()).params
    reference = torch.renorm(weight, 2, 0, 1.5)
    torch.testing.assert_close(after["layer.weight"], reference, rtol=1e-6, atol=0)  # renorm adds 1e-7 to the norm
    assert torch.equal(after["layer.weight"][0], weight[0])
    assert torch.equal(after["layer.bias"], params["layer.bias"])
    rows, before = after["layer.weight"].flatten(1), weight.flatten(1)
    torch.testing.assert_close(torch.cosine_similarity(rows, before), torch.ones(shape[0]).double(), rtol=0, atol=1e-12)


def test_max_norm_holds_after_every_update_and_touches_no_velocity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the output layer too; a factor of rounding in float32, 1e-6. The first gradient is not bent by it."""
    bounded = states(small_trial([{"name": "max_norm", "c": 0.5}]), monkeypatch)
    free = states(small_trial(), monkeypatch)
    for state in bounded:
        for name, weight in state.params.items():
            if weight.ndim > 1:
                assert float(weight.norm(dim=1).max()) <= 0.5 * (1 + 1e-6), name
    assert float(free[0].params["head.weight"].norm(dim=1).max()) > 0.5
    assert same(bounded[0].moments["velocity"], free[0].moments["velocity"])


# KL sparsity


def activations(mean: float, units: int = 3) -> Tensor:
    """Return activations [8, units] in [0, 1] whose means over the examples are `mean`."""
    spread = torch.linspace(-0.04, 0.04, 8, dtype=torch.float64)[:, None].expand(8, units)
    return (mean + spread * (mean > 0.04)).clone().requires_grad_()


def kl(target: float, mean: float) -> float:
    return float(rel_entr(target, mean) + rel_entr(1 - target, 1 - mean))


def test_kl_sparsity_is_the_divergence_and_its_derivative() -> None:
    """KL(0.05 || 0.2) and its derivative 0.9375 (the reference's), each unit's over 8 examples; 1e-12: float64."""
    h = activations(0.2)
    price = torch.as_tensor(exact(KLSparsity(strength=0.5, target=0.05, form="kl")).penalty(seen(taps={"hidden1": h})))
    assert price.item() == pytest.approx(0.5 * 3 * kl(0.05, 0.2), rel=1e-12)
    slope = torch.autograd.grad(price, h)[0]
    torch.testing.assert_close(slope, torch.full_like(h, 0.5 * 0.9375 / 8), rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", ["kl", "squared"])
def test_sparsity_has_no_slope_at_its_target(form: str) -> None:
    h = activations(0.2)
    price = torch.as_tensor(exact(KLSparsity(strength=0.5, target=0.2, form=form)).penalty(seen(taps={"hidden1": h})))
    assert price.item() == pytest.approx(0, abs=1e-15)
    torch.testing.assert_close(torch.autograd.grad(price, h)[0], torch.zeros_like(h), rtol=0, atol=1e-15)


def test_squared_sparsity_is_deepnets_price_for_relu() -> None:
    """Its gradient by the mean is strength * (mean - target), without a divisor; means may exceed 1."""
    h = activations(1.7)
    price = torch.as_tensor(
        exact(KLSparsity(strength=0.5, target=0.2, form="squared")).penalty(seen(taps={"hidden1": h}))
    )
    assert price.item() == pytest.approx(0.5 * 3 * 1.5**2 / 2, rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(price, h)[0], torch.full_like(h, 0.5 * 1.5 / 8), rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kl_sparsity_is_finite_for_units_that_are_dead_or_always_on(value: float) -> None:
    h = torch.full((8, 3), value, requires_grad=True)
    price = torch.as_tensor(KLSparsity(strength=0.5, target=0.05, form="kl").penalty(seen(taps={"hidden1": h})))
    assert bool(price.isfinite())
    assert bool(torch.autograd.grad(price, h)[0].isfinite().all())


def test_kl_sparsity_takes_channels_of_pictures_for_units_and_hidden_slots_only() -> None:
    pictures = random(4, 3, 5, 6).sigmoid()
    taps = {"hidden1": pictures, "input1": random(4, 7), "hidden2": activations(0.3).detach()}
    price = float(exact(KLSparsity(strength=1.0, target=0.05, form="kl")).penalty(seen(taps=taps)))
    by_channel = np.asarray(pictures).mean((0, 2, 3))
    assert price == pytest.approx(sum(kl(0.05, mean) for mean in by_channel) + 3 * kl(0.05, 0.3), rel=1e-12)


def test_kl_sparsity_is_refused_where_activations_leave_the_unit_interval() -> None:
    row = {"name": "kl_sparsity", "form": "kl"}

    def tried(**network: Any) -> None:
        next(train(small_trial([row], network={"name": "mlp", "widths": [12, 12], **network})))

    for refused in ({"activation": "relu"}, {"activation": "tanh"}, {"activation": "sigmoid", "residual": True}):
        with pytest.raises(Refused, match="set form = 'squared', or activation = 'sigmoid' without shortcuts"):
            tried(**refused)
    tried(activation="sigmoid", residual=False)
