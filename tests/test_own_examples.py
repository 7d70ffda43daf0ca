"""The data set and the optimizer of docs/plugins.md are plugins that a sweep runs with, and do what they say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from regtune.data import DATASETS, DataLocation
from regtune.optimizers import OPTIMIZERS
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from tests.pages import blocks
from tests.resuming import SMALL, ran

OWN = SMALL.replace('name = "synthetic"\ntrain = 48\nvalidation = 32\ntest = 37\nnoise = 0.6\n', "{data}").replace(
    "[optimizer]\n", "[optimizer]\n{optimizer}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the modules of the page beside a sweep file."""
    where = tmp_path_factory.mktemp("own")
    for name, of in (("rings", "class Rings"), ("lion", "class Lion")):
        (where / f"{name}.py").write_text(next(block for block in blocks("python") if of in block))
    yield where
    for name in ("rings", "lion"):
        sys.modules.pop(name, None)
    sys.path[:] = [path for path in sys.path if path != str(where)]


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Sweep:
    text = OWN.replace("{data}", 'name = "rings"\ntrain = 100\nvalidation = 100\nnoise = 0.5\n')
    text = text.replace("{optimizer}", 'name = "lion"\nbeta1 = { low = 0.8, high = 0.95 }\n')
    text = 'plugins = ["rings", "lion"]\n' + text.replace("low = 0.001, high = 0.3", "low = 0.001, high = 0.01")
    (folder / "small.toml").write_text(text)
    return Sweep.read(folder / "small.toml")


def test_a_sweep_runs_with_both(sweep: Sweep, folder: Path) -> None:
    results = load(ran(folder, (folder / "small.toml").read_text()).parent)
    assert (results.trials["status"] == "ok").all()
    assert results.trials["val_accuracy"].max() > 0.9, "rings are told from discs"
    assert results.sweep.template["optimizer"]["name"] == "lion"
    assert all("optimizer.beta1" in params for params in results.of_phase("search")["params"])


def test_the_data_are_the_same_every_time_and_more_noise_is_more_noise(sweep: Sweep) -> None:
    plugins = sweep.arms[0].template.plugins
    one, other = (DATASETS.build({"name": "rings"}, "data", plugins).pool(DataLocation()) for _ in range(2))
    assert torch.equal(one.train.source, other.train.source)
    assert float(one.train.source.min()) >= 0 and float(one.train.source.max()) <= 1
    clean = DATASETS.build({"name": "rings", "noise": 0.0}, "data", plugins).pool(DataLocation())
    assert set(clean.train.source.flatten().tolist()) == {0.0, 1.0}


def test_the_optimizer_is_the_rule_of_the_paper(sweep: Sweep) -> None:
    lion = OPTIMIZERS.build({"name": "lion", "beta1": 0.5, "beta2": 0.75}, "optimizer", sweep.arms[0].template.plugins)
    params = {"w": torch.tensor([1.0, -1.0])}
    moments = lion.start(params)
    lion.update(params, {"w": torch.tensor([4.0, -2.0])}, moments, learning_rate=0.125, step=0)
    assert params["w"].tolist() == [0.875, -0.875]
    assert moments["mean"]["w"].tolist() == [1.0, -0.5]
    lion.update(params, {"w": torch.tensor([-0.5, 8.0])}, moments, learning_rate=0.125, step=1)
    assert params["w"].tolist() == [0.75, -1.0], "the sign of half the mean and half the gradient"
