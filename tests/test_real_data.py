"""The real files, where this machine has them: shapes, counts, and that a network learns from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from regtune.data import DataLocation, Examples
from regtune.data.fashion_mnist import FashionMnist
from regtune.data.image_folder import ImageFolder
from regtune.data.mnist import Mnist
from regtune.execution.preflight import preflight
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.trainer import train
from tests.conftest import SWEEP, small_trial

pytestmark = pytest.mark.real


def needs(place: DataLocation, name: str) -> None:
    if place.root is None or not (place.root / name).exists():
        pytest.skip(f"the real data have no {name}")


def counts(examples: Examples) -> list[int]:
    return [int(n) for n in examples.labels.bincount(minlength=10)]


def test_mnist(real_data: DataLocation) -> None:
    needs(real_data, "MNIST")
    pool = Mnist().pool(real_data)
    assert pool.test is not None
    assert pool.train.images.shape == (60_000, 1, 28, 28)
    assert pool.test.images.shape == (10_000, 1, 28, 28)
    assert pool.train.images.dtype == torch.uint8
    assert all(5_400 < n < 6_800 for n in counts(pool.train))
    assert counts(pool.test) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The channel statistics that everybody normalizes MNIST with.
    pixels = pool.train.images.double() / 255
    assert [round(float(pixels.mean()), 4), round(float(pixels.std()), 4)] == [0.1307, 0.3081]


def test_fashion_mnist(real_data: DataLocation) -> None:
    needs(real_data, "FashionMNIST")
    value = FashionMnist()
    for _ in ("built", "cached"):
        pool = value.pool(real_data)
        assert pool.test is not None
        assert pool.train.images.shape == (60_000, 1, 28, 28)
        assert counts(pool.train) == [6_000] * 10
        assert counts(pool.test) == [1_000] * 10
    splits = value.split(pool)
    assert counts(splits.train) == [5_500] * 10
    assert counts(splits.validation) == [500] * 10


def test_cifar10_as_a_tar_of_jpegs(real_data: DataLocation) -> None:
    needs(real_data, "cifar10-jpeg.tar")
    pool = ImageFolder(path="cifar10-jpeg.tar", side=32).pool(real_data)
    assert pool.test is not None
    assert pool.train.source.shape == (50_000, 3, 32, 32)
    assert counts(pool.train) == [5_000] * 10
    assert counts(pool.test) == [1_000] * 10
    # The channel means that everybody normalizes CIFAR-10 with; JPEG moves them by less than a thousandth.
    means = pool.train.source.float().mean((0, 2, 3)) / 255
    assert means.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-3)


def test_an_mlp_learns_mnist_from_2000_images(real_data: DataLocation) -> None:
    needs(real_data, "MNIST")
    trial = small_trial(
        data={"name": "mnist", "train": 2000},
        network={"name": "mlp", "widths": [128]},
        epochs=8,
        batch=50,
        phase="confirm",
    )
    optimizer = trial.optimizer | {"learning_rate": 0.03}
    *_, last = train(dataclasses.replace(trial, optimizer=optimizer), data=load_data(trial, real_data))
    assert last.outcome is not None
    accuracy = last.outcome.metrics["test_accuracy"]
    assert accuracy is not None
    assert accuracy > 0.9


def test_check_reads_a_sweep_on_fashion_mnist_with_fresh_splits(real_data: DataLocation, tmp_path: Path) -> None:
    needs(real_data, "FashionMNIST")
    path = tmp_path / "fashion.toml"
    text = SWEEP.partition("[network]")[2].replace("seeds = 3", 'seeds = 3\nsplits = "fresh"')
    path.write_text(f'[data]\nname = "fashion_mnist"\nlabel_noise = 0.2\n[network]{text}')
    pool, splits = preflight(Sweep.read(path), real_data)
    assert len(splits.train) == 55_000
    assert splits.train.source is pool.train.source
