"""Swap noise and CutMix by feature: what moves between rows moves by whole columns, in the shares of the sources."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from regtune.core.rng import Rng
from regtune.regularizers import FeatureCutMix, Step, SwapNoise
from regtune.regularizers._columns import FIRST, ranks

# Of eight features the second to fourth are one category, the sixth and seventh a number with its gaps: five columns.
FIRST_OF = torch.tensor([0, 1, 1, 1, 4, 5, 5, 7])
COLUMNS = [0, 1, 4, 5, 7]


def rows(count: int) -> Tensor:
    """Return rows [N, 8, 1, 1] that say in each feature of which row they are."""
    return torch.arange(float(count))[:, None, None, None].expand(count, 8, 1, 1).clone()


def step(number: int = 0) -> Step:
    return Step(noise=Rng(seed=7, step=number), progress=0.0, learning_rate=0.1, memory={FIRST: FIRST_OF})


def test_swap_noise_takes_whole_columns_of_any_row_at_its_rate() -> None:
    """2,000 rows: the rate within four standard errors, partners uniform by chi-square over ten groups of rows."""
    count, p = 2000, 0.3
    x, y = rows(count), torch.eye(2)[torch.arange(count) % 2]
    swapped, same = SwapNoise(p=p).augment(x, y, step())
    assert same is y
    found = swapped.flatten(1)
    assert found[:, 1].equal(found[:, 2]) and found[:, 1].equal(found[:, 3]), "a category is of one row"
    assert found[:, 5].equal(found[:, 6])
    moved = (found != x.flatten(1))[:, COLUMNS]
    rate = p * (1 - 1 / count)  # the partner may be the row itself
    assert float(moved.float().mean()) == pytest.approx(rate, abs=4 * math.sqrt(p * (1 - p) / moved.numel()))
    joint = float((moved[:, 0] & moved[:, 1]).float().mean())
    assert joint == pytest.approx(rate**2, abs=4 * math.sqrt(p**2 / count)), "columns are drawn on their own"
    partners = found[:, COLUMNS][moved].numpy()
    assert stats.chisquare(np.histogram(partners, bins=10, range=(0, count))[0]).pvalue > 1e-3


def test_swap_noise_keeps_the_distribution_of_a_column() -> None:
    x = torch.from_numpy(np.random.default_rng(0).exponential(size=(4000, 8, 1, 1))).float()
    swapped, _ = SwapNoise(p=1.0).augment(x, torch.zeros(4000, 2), step())
    assert stats.ks_2samp(x[:, 0, 0, 0].numpy(), swapped[:, 0, 0, 0].numpy()).pvalue > 1e-3
    assert abs(float(torch.corrcoef(torch.stack([x[:, 0, 0, 0], swapped[:, 0, 0, 0]]))[0, 1])) < 4 / math.sqrt(4000)


def test_ranks_are_those_of_columns() -> None:
    noise = torch.rand(8, generator=torch.Generator().manual_seed(0))
    found = ranks(noise, FIRST_OF)
    expected = stats.rankdata(noise[COLUMNS].numpy()) - 1
    assert found[COLUMNS].tolist() == expected.tolist()
    assert found.tolist() == [found[place] for place in FIRST_OF]


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_cutmix_by_feature_takes_a_share_of_columns_and_of_the_target(alpha: float) -> None:
    """1,500 batches: n = floor((1 - lambda) C) has the probabilities of Beta (chi-square), each column is as likely."""
    x, y = rows(6), torch.eye(6)
    counts, chosen = np.zeros(5), np.zeros(5)
    for number in range(1500):
        mixed, targets = FeatureCutMix(prob=1.0, alpha=alpha).augment(x, y, step(number))
        taken = (mixed != x).flatten(1)
        assert (taken == taken[0]).all(), "the same columns in every row"
        columns = taken[0, COLUMNS]
        assert taken[0].equal(columns[torch.searchsorted(torch.tensor(COLUMNS), FIRST_OF)]), "whole columns"
        share = columns.float().mean()
        torch.testing.assert_close(targets, (1 - share) * y + share * y.roll(1, 0), rtol=0, atol=1e-6)
        assert mixed.flatten(1)[:, taken[0]].equal(x.roll(1, 0).flatten(1)[:, taken[0]])
        counts[min(int(columns.sum()), 4)] += 1  # all five where 1 - lambda is rounded to 1
        chosen += columns.numpy()
    expected = 1500 * np.diff(stats.beta(alpha, alpha).cdf(np.arange(6) / 5))
    assert stats.chisquare(counts, expected).pvalue > 1e-3
    assert stats.chisquare(chosen).pvalue > 1e-3


def test_cutmix_by_feature_mixes_a_share_of_the_batches() -> None:
    x, y = rows(4), torch.eye(4)
    mixed = [not FeatureCutMix(prob=0.3, alpha=1.0).augment(x, y, step(n))[0].equal(x) for n in range(1500)]
    share = 0.3 * 0.8  # of lambda above 4/5 no column is taken
    assert np.mean(mixed) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1500))
