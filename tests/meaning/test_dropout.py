"""Dropout and Gaussian dropout."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from regtune.networks import Bend, Slot
from regtune.optimizers import SGD
from regtune.regularizers import L2, Dropout, GaussianDropout, MaxNorm, Step
from regtune.training.train_step import Stepped
from tests.meaning.tools import exact, given, slot, step, stepped


def every_mask(units: int) -> Tensor:
    """Return all masks of so many units, [2 ** units, units], 1 for a unit that is kept."""
    return torch.tensor([[mask >> unit & 1 for unit in range(units)] for mask in range(2**units)]).double()


def draws_of(masks: Tensor) -> Tensor:
    """Return uniform draws that keep what the masks keep, for any p in (0, 1)."""
    return torch.where(masks > 0, 1 - 2.0**-24, 0.0)


def probabilities(masks: Tensor, keep: float) -> Tensor:
    kept = masks.sum(1)
    return keep**kept * (1 - keep) ** (masks.shape[1] - kept)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_dropout_drops_at_its_rate_and_keeps_the_mean() -> None:
    """100,000 units: a p-value below 1e-4 is not chance. What stays is divided by 1 - p, in float32."""
    x, p = torch.ones(400, 250), 0.3
    bent = Dropout(p_hidden=p, p_input=0.8).bend(x, slot("hidden"), step())
    dropped = int((bent == 0).sum())
    assert stats.binomtest(dropped, x.numel(), p).pvalue > 1e-4
    torch.testing.assert_close(bent[bent != 0], torch.full((x.numel() - dropped,), 1 / (1 - p)))
    assert torch.equal(Dropout().bend(x, slot("hidden"), step(training=False)), x)
    inputs = Dropout(p_hidden=p, p_input=0.8).bend(x, slot("input"), step())
    assert stats.binomtest(int((inputs == 0).sum()), x.numel(), 0.8).pvalue > 1e-4
    assert torch.equal(Dropout(p_hidden=p).bend(x, slot("input"), step()), x)


def test_dropout_draws_anew_for_every_example_unit_and_step() -> None:
    """Pairs of independent masks with p = 0.5 agree in half of 20,000 places, p-value above 1e-4."""
    x, method = torch.ones(200, 101), Dropout(p_hidden=0.5)
    first, later = (method.bend(x, slot("hidden"), step(number)) == 0 for number in (0, 1))
    other_slot = method.bend(x, slot("hidden", 2, 2), step()) == 0
    pairs = [(first, later), (first, other_slot), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])]
    for a, b in pairs:
        assert stats.binomtest(int((a == b).sum()), a.numel(), 0.5).pvalue > 1e-4


@pytest.mark.parametrize("scaling", ["train", "test"])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.7])
def test_the_expectation_of_training_is_evaluation(p: float, scaling: str) -> None:
    """Over all 2^6 masks with their probabilities, exactly: 1e-14 is rounding."""
    method = exact(Dropout(p_hidden=p, scaling=scaling))
    masks, h = every_mask(6), random(6)
    outputs = method.bend(h.expand(64, 6), slot("hidden"), given(hidden1=draws_of(masks)))
    mean = (probabilities(masks, 1 - p)[:, None] * outputs).sum(0)
    assert torch.equal(outputs == 0, masks == 0)
    torch.testing.assert_close(mean, method.bend(h, slot("hidden"), step(training=False)), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("scaling", ["train", "test"])
@pytest.mark.parametrize("keep", [0.5, 0.3])
def test_dropout_at_test_is_the_geometric_mean_over_masks(keep: float, scaling: str) -> None:
    """With one hidden layer and softmax, exactly (Goodfellow et al. 2016, section 7.12): 1e-12 is rounding.

    The masked side is written out here: units times mask, divided by `keep` where training scales.
    """
    hidden, weight = random(8), random(3, 8, seed=1)
    masks, scale = every_mask(8), 1 / keep if scaling == "train" else 1.0
    logs = torch.log_softmax((masks * hidden * scale) @ weight.T, -1)
    geometric = (probabilities(masks, keep)[:, None] * logs).sum(0)
    method = exact(Dropout(p_hidden=1 - keep, scaling=scaling))
    at_test = method.bend(hidden[None], slot("hidden"), step(training=False))
    torch.testing.assert_close(
        torch.softmax(at_test @ weight.T, -1)[0], torch.softmax(geometric, -1), rtol=1e-12, atol=0
    )
    in_training = method.bend(hidden.expand(256, 8), slot("hidden"), given(hidden1=draws_of(masks)))
    torch.testing.assert_close(in_training, masks * hidden * scale, rtol=1e-15, atol=0)
    arithmetic = (probabilities(masks, keep)[:, None] * logs.exp()).sum(0)
    assert float((arithmetic - torch.softmax(geometric, -1)).abs().max()) > 1e-3


def test_two_hidden_layers_are_not_the_geometric_mean() -> None:
    """The reference finds differences from 3e-4 to 0.17; rounding would be 1e-15. Layers of 4 units, 2^8 masks."""
    method, weights = Dropout(p_hidden=0.5), [random(4, 4, seed=1), random(3, 4, seed=2)]
    masks, hidden = every_mask(8), random(4).abs() + 0.5
    training = given(hidden1=draws_of(masks[:, :4]), hidden2=draws_of(masks[:, 4:]))

    def logits(h: Tensor, now: Step) -> Tensor:
        h = (method.bend(h, slot("hidden", 1, 2), now) @ weights[0].T).relu()
        assert int((h > 0).any(0).sum()) >= 2  # with fewer active units it may look exact
        result: Tensor = method.bend(h, slot("hidden", 2, 2), now) @ weights[1].T
        return result

    geometric = torch.softmax(logits(hidden.expand(256, 4), training).log_softmax(-1).mean(0), -1)
    at_test = torch.softmax(logits(hidden[None], step(training=False)), -1)[0]
    assert float((geometric - at_test).abs().max()) > 3e-4


@pytest.mark.parametrize("scaling", ["train", "test"])
@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_dropout_linear_regression_has_its_closed_form(keep: float, scaling: str) -> None:
    """w = (p^2 X'X + p (1 - p) diag(X'X))^-1 p X'y, p the probability to keep (Srivastava et al., section 9.1).

    The gradient of the expected loss, over all 2^4 masks of every example, vanishes there: 1e-9, as in the
    reference, for sums of 320 terms. Scaling in training asks for w p instead.
    """
    x, y, masks = random(20, 4), random(20, seed=1), every_mask(4)
    gram = x.T @ x
    w = torch.linalg.solve(keep**2 * gram + keep * (1 - keep) * gram.diag().diag(), keep * (x.T @ y))
    w = (w * keep if scaling == "train" else w).requires_grad_()
    method = exact(Dropout(p_input=1 - keep, scaling=scaling))
    rows = x.repeat_interleave(16, 0)
    dropped = method.bend(rows, slot("input"), given(input1=draws_of(masks.repeat(20, 1))))
    errors = (y.repeat_interleave(16) - dropped @ w).square()
    slope = torch.autograd.grad((probabilities(masks, keep).repeat(20) * errors).sum(), w)[0]
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-9)


def test_channels_drop_as_a_whole_where_pictures_flow() -> None:
    """12,000 channels at p = 0.25, p-value above 1e-4; rows of units are dropped one by one as ever."""
    x, method = (
        torch.rand(400, 30, 3, 2, generator=torch.Generator().manual_seed(0)) + 0.1,
        Dropout(p_hidden=0.25, channels=True),
    )
    bent = method.bend(x, slot("hidden"), step())
    gone = (bent == 0).flatten(2)
    assert torch.equal(gone.any(2), gone.all(2))
    assert stats.binomtest(int(gone.all(2).sum()), 12_000, 0.25).pvalue > 1e-4
    kept = ~(bent == 0)
    torch.testing.assert_close(bent[kept], x[kept] / 0.75)
    flat = torch.ones(40, 30)
    one_by_one = Dropout(p_hidden=0.25).bend(flat, slot("hidden"), step())
    assert torch.equal(method.bend(flat, slot("hidden"), step()), one_by_one)


class Softmax(nn.Module):
    """Softmax regression of 10 classes on 32 inputs, without biases, whose learning rate does not change."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.input, self.weight = Slot("input"), nn.Parameter(weight.clone())
        self.input.number = self.input.count = 1

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.input(x.flatten(1), bend)
        return h @ self.weight.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scaling_at_test_and_in_training_are_one_network_in_two_scales(dtype: torch.dtype) -> None:
    """W' = p W where c' = p c, rate' = p^2 rate and strength' = strength / p^2 (O 4.4): 50 steps, bit for bit.

    Exactly 0 apart, since p = 1/2 only moves exponents; with the settings of the other form it is not.
    """
    x = random(64, 1, 4, 8).to(dtype)
    y = torch.eye(10, dtype=dtype)[torch.arange(64) % 10]
    start = random(10, 32, seed=1).to(dtype)

    def end(scaling: str, start: Tensor, rate: float, strength: float, c: float) -> tuple[Stepped, Tensor]:
        methods = [Dropout(p_input=0.5, p_hidden=0.0, scaling=scaling), L2(strength=strength), MaxNorm(c=c)]
        net = Softmax(start)
        *_, last = stepped(net, methods, 50, SGD(learning_rate=rate, momentum=0.9), x, y)
        bend: Bend = lambda signal, slot: methods[0].bend(signal, slot, step(training=False))  # noqa: E731 - one line says it
        net.load_state_dict(last.state.params)
        return last, net(x, bend).detach()

    paper, shown = end("test", start, rate=0.5, strength=1e-3, c=1.2)
    library, seen = end("train", start / 2, rate=0.125, strength=4e-3, c=0.6)
    w, scaled = paper.state.params["weight"], library.state.params["weight"]
    assert float((w / 2 - scaled).abs().max()) == 0.0
    assert torch.equal(shown, seen)
    assert not torch.equal(w, start)
    naive, _ = end("train", start / 2, rate=0.5, strength=1e-3, c=1.2)
    assert float((w / 2 - naive.state.params["weight"]).abs().max()) > 1e-2


def test_gaussian_dropout_has_the_mean_and_variance_of_dropout() -> None:
    x, p = torch.ones(400, 250), 0.3
    bent = GaussianDropout(p_hidden=p).bend(x, slot("hidden"), step()).double()
    # Standard errors for 100,000 draws: 0.002 of the mean, 0.5 % of the variance; five of them are allowed.
    assert float(bent.mean()) == pytest.approx(1, abs=0.01)
    assert float(bent.var()) == pytest.approx(p / (1 - p), rel=0.025)
    assert torch.equal(GaussianDropout(p_hidden=p).bend(x, slot("hidden"), step(training=False)), x)


def test_gaussian_dropout_multiplies_by_normal_noise_at_the_rate_of_its_slot() -> None:
    """Kolmogorov-Smirnov on 20,000 factors: a p-value below 1e-4 is not chance."""
    x, method = random(100, 200).float() + 3, GaussianDropout(p_hidden=0.2, p_input=0.5)
    for place, p in ((slot("hidden"), 0.2), (slot("input"), 0.5)):
        factors = method.bend(x, place, step()) / x
        assert stats.kstest(factors.flatten().numpy(), stats.norm(1, math.sqrt(p / (1 - p))).cdf).pvalue > 1e-4
