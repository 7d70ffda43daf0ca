"""Corrupted labels and pictures after Zhang et al. (2017): laws, moments, and what stays clean."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from regtune.data import Examples, Splits, corrupted
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.trainer import train
from tests.conftest import small_trial

CLASSES, SIDE = 10, 6


def splits(count: int = 4000, *, channels: int = 3) -> Splits:
    """Pictures of which every pixel of a channel has a value of its own, in an order that differs by picture."""
    area = SIDE * SIDE
    rows = (torch.arange(area) * 7 + torch.arange(count)[:, None] * 5) % area
    images = (
        torch.stack([rows + c * area for c in range(channels)], 1).view(count, channels, SIDE, SIDE).to(torch.uint8)
    )
    whole = Examples.of(images=images, labels=torch.arange(count) % CLASSES)
    parts = torch.split(torch.arange(count), [count // 2, count // 4, count // 4])
    a, b, c = (whole.take(part) for part in parts)
    return Splits(train=a, validation=b, test=c, classes=CLASSES)


def bent(clean: Splits, *, label_noise: float = 0.0, pixels: str = "true", seed: int = 0) -> Splits:
    return corrupted(clean, label_noise=label_noise, pixels=pixels, seed=seed)


def pictures(data: Splits) -> list[Tensor]:
    parts = (data.train, data.validation, data.test)
    return [part.images.flatten(2) for part in parts if part is not None]


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_labels_change_with_probability_p_times_k_minus_1_over_k(p: float) -> None:
    clean = splits(40_000)
    noisy = bent(clean, label_noise=p)
    changed = int((noisy.train.labels != clean.train.labels).sum())
    assert stats.binomtest(changed, 20_000, p * (CLASSES - 1) / CLASSES).pvalue > 1e-3
    drawn = noisy.train.labels[noisy.train.labels != clean.train.labels]
    assert stats.chisquare(drawn.bincount(minlength=CLASSES)).pvalue > 1e-3
    assert noisy.test is not None
    assert clean.test is not None
    for after, before in ((noisy.validation, clean.validation), (noisy.test, clean.test)):
        assert after.labels.equal(before.labels), "validation and test stay clean"
    assert noisy.train.source is clean.train.source, "no picture is copied"


def test_what_is_changed_at_p_is_changed_alike_at_any_higher_p() -> None:
    clean = splits().train.labels
    some, more = (bent(splits(), label_noise=p).train.labels for p in (0.3, 0.6))
    assert more[some != clean].equal(some[some != clean])


@pytest.mark.parametrize("kind", ["shuffled", "random"])
def test_the_pixels_of_each_channel_stay_the_same_multiset(kind: str) -> None:
    clean = splits()
    for before, after in zip(pictures(clean), pictures(bent(clean, pixels=kind)), strict=True):
        assert after.sort(2).values.equal(before.sort(2).values)
        assert not after.equal(before)


def order_of(before: Tensor, after: Tensor) -> Tensor:
    """Return for each picture and channel where each pixel came from: every pixel has its own value."""
    return before.argsort(2).gather(2, after.long() - after.long().min(2, keepdim=True).values)


def test_one_permutation_is_that_of_all_pictures_channels_and_splits() -> None:
    clean = splits()
    orders = [order_of(b, a) for b, a in zip(pictures(clean), pictures(bent(clean, pixels="shuffled")), strict=True)]
    order, *others = torch.cat(orders).flatten(0, 1)
    assert all(other.equal(order) for other in others)
    assert sorted(order.tolist()) == list(range(SIDE * SIDE)), "it can be undone"
    for before, after in zip(pictures(clean), pictures(bent(clean, pixels="shuffled")), strict=True):
        assert after[:, :, order.argsort()].equal(before)


def test_random_pixels_have_a_permutation_for_each_picture_over_its_channels() -> None:
    clean = splits()
    orders = [order_of(b, a) for b, a in zip(pictures(clean), pictures(bent(clean, pixels="random")), strict=True)]
    whole = torch.cat(orders)
    assert whole.eq(whole[:, :1]).all(), "the channels of a picture move together"
    assert len({tuple(order) for order in whole[:, 0].tolist()}) == len(whole)


@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_gaussian_pixels_have_the_moments_of_the_training_pictures(kind: str) -> None:
    """Values far from 0 and 1 in units of their spread, so that clipping changes nothing."""
    spread = (torch.arange(4000 * 3 * 36) * 7919 % 41 + 100).view(4000, 3, SIDE, SIDE)
    spread[:, 1] += 30
    images = spread.to(torch.uint8) if kind == "uint8" else spread.float() / 255
    clean = splits()
    clean = replace(clean, train=Examples.of(images=images, labels=torch.arange(4000) % CLASSES))
    made = bent(clean, pixels="gaussian").train.images
    assert made.dtype == images.dtype
    unit = 1.0 if kind == "uint8" else 1 / 255
    for channel in range(3):
        new, old = made[:, channel].double(), images[:, channel].double()
        count = new.numel()
        assert abs(new.mean() - old.mean()) < 4 * old.std() / math.sqrt(count)
        # Rounding to whole values adds a twelfth to the variance.
        variance = old.var() + (unit**2 / 12 if kind == "uint8" else 0)
        assert abs(new.var() - variance) < 4 * variance * math.sqrt(2 / count)
        sample = new.flatten()[:2000] + (torch.arange(2000) * 0.618 % 1 - 0.5 if kind == "uint8" else 0)
        assert stats.kstest(sample, "norm", (float(old.mean()), float(old.std()))).pvalue > 1e-3


def test_gaussian_pixels_are_clipped() -> None:
    for dtype in (torch.uint8, torch.float32):
        images = (torch.arange(4000 * 36) % 2).view(4000, 1, SIDE, SIDE)
        clean = splits(channels=1)
        both = images * 255 if dtype == torch.uint8 else images
        clean = replace(clean, train=Examples.of(images=both.to(dtype), labels=torch.arange(4000) % CLASSES))
        made = bent(clean, pixels="gaussian").train.images
        top = 255 if dtype == torch.uint8 else 1
        for end in (0, top):  # a normal distribution around the middle with a spread of half the range
            assert float((made == end).double().mean()) == pytest.approx(stats.norm.sf(1), abs=0.01)


@pytest.mark.parametrize("kind", ["shuffled", "random", "gaussian"])
def test_corruptions_are_functions_of_the_split_seed(kind: str) -> None:
    clean = splits(200)
    one, same, other = (bent(clean, pixels=kind, label_noise=0.5, seed=seed) for seed in (1, 1, 2))
    assert one.train.images.equal(same.train.images)
    assert one.train.labels.equal(same.train.labels)
    assert not one.train.images.equal(other.train.images)
    assert not one.train.labels.equal(other.train.labels)


def test_they_are_knobs_of_every_data_set_and_stay_the_same_in_every_epoch_and_arm() -> None:
    data = small_trial().data | {"label_noise": 0.5, "pixels": "random"}
    trial, clean = small_trial(data=data), load_data(small_trial())
    lane = Lane((trial,))
    seen = []
    for _ in lane:
        seen.append((lane.data.train.images, lane.data.train.labels))
    assert all(x.equal(seen[0][0]) and y.equal(seen[0][1]) for x, y in seen)
    again = load_data(small_trial([{"name": "dropout"}], data=data, seed=99))
    assert again.train.images.equal(seen[0][0])
    assert again.train.labels.equal(seen[0][1])
    assert not again.train.labels.equal(clean.train.labels)
    assert [e.train_loss for e in train(trial)] != [e.train_loss for e in train(small_trial())]
