"""Mixup, CutMix and the switch between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import cross_entropy

from regtune.core.rng import Rng
from regtune.regularizers import CutMix, MixSwitch, Mixup, Regularizer, Step
from tests.meaning.tools import Given, exact, given, step


def black_and_white(count: int, side: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return pictures that are black and white in turn, so each one's partner is the other colour, with classes."""
    colour = torch.arange(count) % 2
    return colour.to(dtype).view(-1, 1, 1, 1).expand(count, 1, side, side).clone(), torch.eye(2, dtype=dtype)[colour]


# mixup


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


def test_mixup_per_example_draws_every_coefficient_by_itself() -> None:
    """4,000 draws: Kolmogorov-Smirnov above 1e-3, mean 1/2 within four standard errors, neighbours unrelated."""
    x, y = black_and_white(4000, 2)
    mixed_x, mixed_y = Mixup(alpha=0.4, per="example").augment(x, y, step())
    shares = mixed_y.gather(1, y.argmax(1, keepdim=True))[:, 0]
    torch.testing.assert_close(mixed_y.sum(1), torch.ones(4000), rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed_x[1::2].mean((1, 2, 3)), shares[1::2], rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed_x[::2].mean((1, 2, 3)), 1 - shares[::2], rtol=0, atol=1e-6)
    drawn = shares.double().numpy()
    assert stats.kstest(drawn, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3
    assert drawn.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / (4 * 1.8) / 4000))
    assert stats.pearsonr(drawn[1:], drawn[:-1]).pvalue > 1e-3


def test_mixup_loss_is_the_mix_of_two_losses() -> None:
    """CE of the mixed target is the mix of both CEs; 1e-6, as the coefficient is read off a float32 draw."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(5, 1, 2, 2, dtype=torch.float64, generator=generator), torch.eye(5, dtype=torch.float64)
    logits = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    _, mixed = Mixup(alpha=1.0).augment(x, y, step())
    share = float(mixed[0, 0])
    own, partner = cross_entropy(logits, torch.arange(5)), cross_entropy(logits, torch.arange(5).roll(1))
    ours = -(mixed * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(ours, share * own + (1 - share) * partner, rtol=1e-6, atol=0)


def test_mixup_is_torchvisions() -> None:
    """Same partner, same form: equal to float32 rounding, 1e-6, where both are given the coefficient."""
    from torchvision.transforms import v2

    generator = torch.Generator().manual_seed(0)
    x, labels = torch.rand(6, 3, 4, 4, generator=generator), torch.arange(6) % 4
    reference = v2.MixUp(num_classes=4)
    reference._dist = torch.distributions.Uniform(0.3, 0.3 + 1e-9, validate_args=False)
    their_x, their_y = reference(x, labels)
    our_x, our_y = Mixup(alpha=1.0).augment(x, torch.eye(4)[labels], given(**{"lambda": torch.tensor(0.3)}))
    torch.testing.assert_close(our_x, their_x, rtol=0, atol=1e-6)
    torch.testing.assert_close(our_y, their_y, rtol=0, atol=1e-6)


# CutMix


def every_centre(side: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return rows.flatten(), columns.flatten()


@pytest.mark.parametrize(
    ("kept", "published"), [(0.0, 0.4375), (0.25, 0.58079), (0.5, 0.67586), (0.75, 0.80859), (0.9, 0.91701)]
)
def test_cutmix_keeps_the_published_share_of_32_pixels(kept: float, published: float) -> None:
    """E[lambda' | lambda] over all 1024 centres; the reference has five digits."""
    x, y = black_and_white(1024, 32)
    rows, columns = every_centre(32)
    now = given(**{"lambda": torch.tensor(kept)}, y=rows, x=columns)
    _, mixed = CutMix(prob=1.0, per="example").augment(x, y, now)
    own = mixed.gather(1, y.argmax(1, keepdim=True)).double()
    assert float(own.mean()) == pytest.approx(published, abs=5e-6)


@pytest.mark.parametrize("per", ["batch", "example"])
def test_the_label_of_cutmix_is_the_share_of_pixels_exactly(per: str) -> None:
    """Areas over 1024 are exact in float32, so a black picture's mean is its share of white, bit for bit."""
    x, y = black_and_white(64, 32)
    boxes = 0
    for number in range(40):
        new_x, new_y = CutMix(prob=0.7, per=per).augment(x, y, step(number))
        assert torch.equal(new_x.mean((1, 2, 3)), new_y[:, 1])
        assert torch.equal(new_y.sum(1), torch.ones(64))
        changed = new_x != x
        boxes += int(changed.flatten(1).any(1).sum())
        assert torch.equal(changed, changed.any(2, keepdim=True) & changed.any(3, keepdim=True))  # a rectangle
        assert per == "example" or bool((changed == changed[:1]).all())
    assert 0.5 < boxes / (64 * 40) < 0.8


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.51, 0.77, 0.95])
def test_cutmix_cuts_what_torchvision_cuts(kept: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes and labels, for every third centre of pictures of 12 x 20, given to both."""
    from torchvision.transforms import v2

    centres = [(row, column) for row in range(12) for column in range(20)][::3]
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.rand(4, 3, 12, 20, generator=generator), torch.arange(4)
    reference = v2.CutMix(num_classes=4)
    reference._dist = torch.distributions.Uniform(kept, kept + 1e-9, validate_args=False)
    for row, column in centres:
        places = iter([torch.tensor([column]), torch.tensor([row])])  # torchvision asks for x, then y
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_, size, places=places: next(places))
            their_x, their_y = reference(x, labels)
        now = given(**{"lambda": torch.tensor(kept)}, y=torch.tensor(row), x=torch.tensor(column))
        our_x, our_y = CutMix(prob=1.0).augment(x, torch.eye(4), now)
        assert torch.equal(our_x, their_x)
        torch.testing.assert_close(our_y, their_y, rtol=0, atol=1e-6)


def test_cutmix_keeps_seven_tenths_on_average() -> None:
    """lambda uniform on 32 x 32: 0.7008. 40,000 pictures at a standard deviation below 0.25: four errors are 0.005."""
    x, y = black_and_white(4000, 32)
    shares = []
    for number in range(10):
        _, mixed = CutMix(prob=1.0, alpha=1.0, per="example").augment(x, y, step(number))
        shares.append(mixed.gather(1, y.argmax(1, keepdim=True)).double())
    drawn = torch.cat(shares)
    assert float(drawn.std()) < 0.25
    assert float(drawn.mean()) == pytest.approx(0.7008, abs=0.005)


class Middle(Rng):
    """Real noise, but every box is in the middle, so that none is clipped."""

    def below(self, count: int, site: str, shape: tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]  # narrower
        return torch.full(tuple(shape), count // 2)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_cutmix_draws_its_share_from_beta(alpha: float) -> None:
    """An unclipped box on 16 x 16 has a half side of k pixels where 2 k <= 16 sqrt(1 - lambda) < 2 k + 2.

    Chi-square on 5,000 of them against the probabilities that scipy's Beta gives these eight events.
    """
    x, y = black_and_white(5000, 16)
    _, mixed = CutMix(prob=1.0, alpha=alpha, per="example").augment(x, y, step(noise=Middle(seed=3)))
    own = mixed.gather(1, y.argmax(1, keepdim=True))[:, 0]
    halves = ((1 - own).sqrt() * 16 / 2).round().long().clamp(max=7)  # 8 is lambda = 0, where float32 rounds to it
    bounds = 1 - (np.arange(9) / 8) ** 2
    expected = -np.diff(stats.beta(alpha, alpha).cdf(bounds))
    assert stats.chisquare(torch.bincount(halves, minlength=8).numpy(), 5000 * expected).pvalue > 1e-4


def test_the_centre_of_a_cutmix_box_is_any_pixel_alike() -> None:
    """Boxes of 2 x 2 on 8 x 8 end in the row and column of their centre; chi-square over 64 cells, 6,400 boxes."""
    x, y = black_and_white(6400, 8)
    now = step(noise=Given(draws={"lambda": torch.tensor(1 - (2.5 / 8) ** 2)}))
    new_x, _ = CutMix(prob=1.0, per="example").augment(x, y, now)
    changed = (new_x != x)[:, 0]
    assert int(changed.flatten(1).sum(1).max()) == 4
    rows, columns = ((changed.any(axis).long() * torch.arange(8)).argmax(1) for axis in (2, 1))
    counts = torch.bincount(rows * 8 + columns, minlength=64)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


@pytest.mark.parametrize("method", [CutMix(prob=0.0), MixSwitch(prob=0.0), Mixup(alpha=0.0)])
def test_no_mixing_is_the_identity(method: Regularizer) -> None:
    x, y = black_and_white(8, 6)
    for number in range(20):
        new_x, new_y = method.augment(x, y, step(number))
        assert torch.equal(new_x, x)
        assert torch.equal(new_y, y)


# the switch


def test_mix_switch_mixes_and_cuts_in_its_shares_and_each_in_its_form() -> None:
    """1,500 batches: binomial p-values and KS above 1e-4. Mixup gives one grey, CutMix boxes of the other colour."""
    x, y = black_and_white(4, 16)
    method = MixSwitch(prob=0.7, cutmix_share=0.3, mixup_alpha=0.5, cutmix_alpha=1.0)
    greys: list[float] = []
    cuts: list[float] = []
    for number in range(1500):
        new_x, new_y = method.augment(x, y, step(number))
        assert float((new_x.mean((1, 2, 3)) - new_y[:, 1]).abs().max()) < 1e-6  # the share of white; float32
        assert float((new_y.sum(1) - 1).abs().max()) < 1e-6
        assert torch.equal(new_x[2:], new_x[:2])  # one draw for the batch
        boxes = bool(((new_x == 0) | (new_x == 1)).all())
        assert boxes or torch.equal(new_x, new_x[:, :, :1, :1].expand_as(new_x))
        (cuts if boxes else greys).append(float(new_y[0, 0]))
    assert stats.binomtest(len(greys), 1500, 0.7 * 0.7).pvalue > 1e-4
    assert stats.kstest(greys, stats.beta(0.5, 0.5).cdf).pvalue > 1e-4
    # Unmixed batches look like boxes without area. CutMix itself has none where int(16 sqrt(1 - lambda)) // 2 is 0.
    whole = sum(own == 1 for own in cuts)
    assert stats.binomtest(whole, 1500, 0.3 + 0.7 * 0.3 * (2 / 16) ** 2).pvalue > 1e-4


@pytest.mark.parametrize(("share", "part"), [(0.0, "mixup"), (1.0, "cutmix")])
def test_mix_switch_at_its_ends_is_one_of_its_parts(share: float, part: str) -> None:
    """With the coefficient, the box and the colour of black and white pictures written out."""
    x, y = black_and_white(4, 8, torch.float64)
    noise = Parts(seed=11)
    new_x, new_y = exact(MixSwitch(cutmix_share=share)).augment(
        x, y, Step(noise=noise, progress=0.0, learning_rate=0.1)
    )
    own = 0.75 if part == "mixup" else 1 - 12 / 64  # a box of 4 x 4 around (1, 4), of which 3 x 4 are inside
    expected = x.clone()
    if part == "mixup":
        expected = 0.75 * x + 0.25 * (1 - x)
    else:
        expected[:, :, 0:3, 2:6] = 1 - expected[:, :, 0:3, 2:6]
    assert torch.equal(new_x, expected)
    assert torch.equal(new_y, own * y + (1 - own) * (1 - y))


class Parts(Rng):
    """Noise with lambda = 3/4 and the box's centre at row 1, column 4, whatever the method below asks."""

    def beta(self, site: str, a: float | Tensor, b: float | Tensor, shape: tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]  # narrower
        return torch.full(tuple(shape), 0.75)

    def below(self, count: int, site: str, shape: tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]  # narrower
        return torch.full(tuple(shape), {"y": 1, "x": 4}[site])

    def at(self, name: str) -> Parts:
        return self
