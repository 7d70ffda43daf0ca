"""Templates: what `regtune init --template` writes is a sweep that runs, on data as its comments say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regtune.cli.sweeps import templates
from regtune.results.loader import load
from tests.command_line import called
from tests.test_shipped_sweeps import checked

SMALL = "training.epochs=1", "search.trials=1", "select.seeds=0", "confirm.seeds=2", "network.channels=[4]"
FEW = "--set", "data.validation=20"
SET = [word for change in SMALL for word in ("--set", change)]


@pytest.mark.parametrize("name", templates())
def test_a_template_is_written_and_files_that_are_there_stay(name: str, tmp_path: Path) -> None:
    ended = called("init", "mine", "--template", name, folder=tmp_path)
    assert ended.returncode == 0
    written = {path.name for path in (tmp_path / "mine").iterdir()}
    assert written == {path.name for path in templates()[name]}
    assert called("init", "mine", "--template", name, folder=tmp_path).stdout.count("kept ") == len(templates()[name])


def test_an_unknown_template_is_refused(tmp_path: Path) -> None:
    ended = called("init", "mine", "--template", "mnsit", folder=tmp_path)
    assert ended.stderr == "regtune: --template: unknown template 'mnsit' (did you mean 'mnist'?)\n"
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar"])
def test_those_on_published_data_pass_every_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = templates()[name]
    assert len(checked(file, monkeypatch).arms) >= 6


def test_that_on_own_pictures_runs_on_a_folder_of_them(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for kind in ("round", "square"):
        (tmp_path / "pictures" / "train" / kind).mkdir(parents=True)
        for number in range(40):
            picture = noise.integers(0, 256, (36, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "pictures" / "train" / kind / f"{number}.png")
    called("init", ".", "--template", "own-data", folder=tmp_path)
    ended = called(
        "run", "own_data.toml", "--data", ".", "--in-process", *SET, "--set", "data.validation=20", folder=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    assert set(load(tmp_path / "results" / "own_data").trials["status"]) == {"ok"}


def test_that_of_an_own_network_runs_as_it_stands(tmp_path: Path) -> None:
    called("init", ".", "--template", "own-network", folder=tmp_path)
    ended = called("run", "own_network.toml", "--in-process", *SET[:-2], folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert set(load(tmp_path / "results" / "own_network").trials["status"]) == {"ok"}
