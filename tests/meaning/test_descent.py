"""Gradients that are bent before the optimizer sees them: clipping and SAM."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from regtune.core.records import Json
from regtune.core.state import Tensors
from regtune.optimizers import SGD
from regtune.regularizers import SAM, GradientClipping, Regularizer
from regtune.training.lane import Lane
from tests.conftest import small_trial, trained
from tests.meaning.tools import Unbent, Valley, batches, descended, exact, in_float64, network, ordinary, step

PLUGINS = ("tests.plugin_things",)
HILL = torch.tensor([1.0, 4.0])  # L = 1/2 w' diag(1, 4) w


def gradient_used(*methods: Regularizer) -> Tensor:
    """Return the gradient that moves w from (1, 1) on the hill, as plain descent with rate 1 shows it."""
    valley = Valley(HILL.diag(), torch.zeros(2), start=torch.ones(2))
    (last,) = descended(valley, methods, 1, SGD(learning_rate=1.0, momentum=0.0))
    return 1 - last.state.params["weight"][0]


# clipping


@pytest.mark.parametrize(("norm", "expected"), [(1.0, (0.6, 0.8)), (5.0, (3.0, 4.0)), (6.0, (3.0, 4.0))])
def test_clipping_cuts_to_length(norm: float, expected: tuple[float, float]) -> None:
    """(3, 4) has length 5; exactly, but for rounding in float64."""
    gradient = {"w": torch.tensor([3.0, 4.0], dtype=torch.float64)}
    cut = exact(GradientClipping(norm=norm)).descend(lambda params: gradient, step())({})
    torch.testing.assert_close(cut["w"], torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=0)


@pytest.mark.parametrize("norm", [0.1, 1.0, 100.0])
def test_clipping_is_torchs_over_all_tensors_together(norm: float) -> None:
    """torch divides by the length + 1e-6; the length is above 1 here, so 1e-6 relative."""
    generator = torch.Generator().manual_seed(0)
    gradients: Tensors = {
        name: torch.randn(shape, dtype=torch.float64, generator=generator)
        for name, shape in (("a", (3, 4)), ("b", (5,)), ("c", (2, 3, 3)))
    }
    cut = exact(GradientClipping(norm=norm)).descend(lambda params: gradients, step())({})
    parameters = [torch.zeros_like(g).requires_grad_() for g in gradients.values()]
    for parameter, gradient in zip(parameters, gradients.values(), strict=True):
        parameter.grad = gradient.clone()
    assert float(clip_grad_norm_(parameters, norm)) > 1
    for parameter, ours in zip(parameters, cut.values(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-6, atol=0)


def test_a_training_with_clipping_is_torchs_with_the_penalty_in_the_gradient() -> None:
    """Nine updates whose gradients are all longer than 1/4; torch's 1e-6 over 1/4 accumulates to below 1e-5."""
    rows = ({"name": "gradient_clipping", "norm": 0.25}, {"name": "l2", "strength": 0.125})
    trial = in_float64(recipe=rows)
    lengths: list[float] = []

    def loss(net: torch.nn.Module, x: Tensor, y: Tensor) -> Tensor:
        price = sum(p.square().sum() for p in net.parameters() if p.ndim > 1)
        return cross_entropy(net(x), y) + 0.125 / 2 * price

    class Clipped(torch.optim.SGD):
        def step(self, closure: object = None) -> None:  # type: ignore[override]  # no closure here
            lengths.append(float(clip_grad_norm_(self.param_groups[0]["params"], 0.25)))
            super().step()

    reference = ordinary(trial, lambda net: Clipped(net.parameters(), lr=0.125, momentum=0.875), loss=loss)
    assert min(lengths) > 0.25
    ours = trained(trial).state.params
    for name, p in reference.net.named_parameters():
        torch.testing.assert_close(ours[name], p.detach(), rtol=0, atol=1e-5)


# SAM


def test_sam_takes_the_gradient_of_the_reference() -> None:
    """w = (1, 1), rho 0.05: epsilon (0.0121268, 0.0485071), gradient (1.0121268, 4.1940285), seven decimals.

    In closed form g = H (w + rho H w / |H w|), to rounding.
    """
    found = gradient_used(SAM(rho=0.05))
    torch.testing.assert_close(found, torch.tensor([1.0121268, 4.1940285]).double(), rtol=0, atol=5e-7)
    slope = HILL.double()
    torch.testing.assert_close(found, slope * (1 + 0.05 * slope / slope.norm()), rtol=1e-12, atol=0)
    epsilon = found / slope - 1
    torch.testing.assert_close(epsilon, torch.tensor([0.0121268, 0.0485071]).double(), rtol=0, atol=5e-8)
    torch.testing.assert_close(gradient_used(SAM(rho=0.0)), slope, rtol=1e-14, atol=0)


def test_clipping_cuts_the_gradient_of_sam_before_and_after_it_in_the_recipe() -> None:
    """SAM's gradient at length 1, to rounding; with the gradient of plain descent it would be (0.2425, 0.9701)."""
    sam = HILL.double() * (1 + 0.05 * HILL.double() / HILL.double().norm())
    after = gradient_used(SAM(rho=0.05), GradientClipping(norm=1.0))
    torch.testing.assert_close(after, sam / sam.norm(), rtol=1e-12, atol=0)
    # Clipped first, both gradients are cut; the ascent keeps its direction and its length rho.
    before = gradient_used(GradientClipping(norm=1.0), SAM(rho=0.05))
    torch.testing.assert_close(before, sam / sam.norm(), rtol=1e-12, atol=0)


def test_a_step_of_sam_is_the_authors_in_torch_with_batchnorms_statistics_of_the_first_pass() -> None:
    """Written out: gradient, ascent by rho g / |g|, gradient, descent from where it was. Float64, 1e-12.

    The second pass normalizes by its batch, but leaves no trace in the running statistics.
    """
    trial = in_float64(
        recipe=({"name": "sam", "rho": 0.0625},),
        network={"name": "batch_norm_net"},
        plugins=PLUGINS,
        epochs=1,
        batch=48,
    )
    lane = Lane((trial,))
    net = Unbent(network(lane)).double().train()
    (batch,) = batches(trial, 1)
    x, start = batch.images.double(), [p.detach().clone() for p in net.parameters()]

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(cross_entropy(net(x), batch.labels), list(net.parameters())))

    first = gradients()
    statistics = {name: b.clone() for name, b in net.net.named_buffers()}
    size = torch.cat([g.flatten() for g in first]).norm()
    with torch.no_grad():
        for p, g in zip(net.parameters(), first, strict=True):
            p.add_(0.0625 * g / size)
    second = gradients()
    (epoch,) = next(lane)
    for (name, _), w, g in zip(net.net.named_parameters(), start, second, strict=True):
        torch.testing.assert_close(lane.state.params[name], w - 0.125 * g, rtol=0, atol=1e-12)
    for name, b in statistics.items():
        torch.testing.assert_close(lane.state.buffers[name], b, rtol=1e-12, atol=1e-12)
    assert int(lane.state.buffers["norm.num_batches_tracked"]) == 1
    assert not torch.allclose(
        net.net.get_buffer("norm.running_mean"), statistics["norm.running_mean"], rtol=0, atol=1e-6
    )
    assert epoch is not None
    assert epoch.gradients == 2.0


def test_sam_counts_two_gradients_per_update_and_its_objective_is_that_of_the_first() -> None:
    """Alone and in a lane; the first objective of one full batch is the loss where both trainings begin."""
    trial = small_trial([{"name": "sam", "rho": 0.5}], epochs=1, batch=48)
    plain = next(Lane((dataclasses.replace(trial, recipe=()),)))[0]
    alone = next(Lane((trial,)))[0]
    (first, second) = next(Lane((trial, dataclasses.replace(trial, seed=8))))
    assert plain is not None
    assert alone is not None
    assert first is not None
    assert second is not None
    assert [e.gradients for e in (plain, alone, first, second)] == [1.0, 2.0, 2.0, 2.0]
    assert alone.objective == plain.objective
    assert alone.val_loss != plain.val_loss


def test_both_passes_of_sam_see_the_same_noise() -> None:
    """Rule 7 of the reference's section 18: with rho = 0 the two gradients are one, dropout or not, bit for bit."""
    names = ("dropout", "stochastic_depth", "mixup")
    rows: list[Json] = [{"name": name} for name in names]
    with_sam = trained(small_trial([*rows, {"name": "sam", "rho": 0.0}])).state.params
    without = trained(small_trial(rows)).state.params
    assert all(torch.equal(with_sam[name], p) for name, p in without.items())


def test_sam_stays_within_its_ball_where_squares_of_the_gradient_vanish() -> None:
    """In float32 squares below 1e-38 are 0; the shift must not be longer than rho for any gradient."""
    seen: list[Tensors] = []

    def gradient(params: Tensors) -> Tensors:
        seen.append(params)
        return {"weight": torch.full((3, 3), 1e-24)}

    start = {"weight": torch.zeros(3, 3)}
    SAM(rho=0.05).descend(gradient, step())(start)
    assert float(seen[1]["weight"].norm()) <= 0.05
