"""Pictures that are in two splits or under two classes, and classes that are unequal: `check` and `run` say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regtune.data import DataLocation, Dataset, Examples, Pool, Splits, repeated, unequal_classes
from regtune.execution.export import export
from regtune.execution.lane_queue import PhaseJob
from regtune.execution.preflight import preflight, remarks
from regtune.execution.ray.transfer import SharedData
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import SWEEP
from tests.originals import bytes_of, labels_of, write_pictures
from tests.test_own_data import npz


def idle(jobs: Iterable[PhaseJob]) -> None:
    """Ask for the next phase and train nothing."""
    for _ in jobs:
        pass


def sweep_on(folder: Path, data: str) -> Sweep:
    path = folder / "own.toml"
    path.write_text(f"[data]\n{data}\n[network]{SWEEP.partition('[network]')[2]}")
    return Sweep.read(path)


NPZ = 'name = "npz"\npath = "own.npz"\nvalidation = 20\n'


def said_of(folder: Path, data: str) -> list[str]:
    sweep = sweep_on(folder, data)
    return remarks(sweep, preflight(sweep, DataLocation(root=folder)).pool)


def test_arrays_without_repetitions_say_nothing(tmp_path: Path) -> None:
    npz(tmp_path, x=bytes_of(0, 80, 4, 4), y=labels_of(80, 4), x_test=bytes_of(1, 40, 4, 4), y_test=labels_of(40, 4))
    assert said_of(tmp_path, NPZ) == []


@pytest.mark.parametrize("kind", ["uint8", "floats"])
@pytest.mark.parametrize("train", ["", "train = 20", 'pixels = "random"', "label_noise = 0.5", "split_seed = 7"])
def test_test_pictures_of_the_makers_that_are_trained_on_are_counted(kind: str, train: str, tmp_path: Path) -> None:
    """All that may be trained on counts, not only what a small training split takes; noise and corruption do not."""
    x, x_test = bytes_of(0, 80, 4, 4), bytes_of(1, 40, 4, 4)
    x_test[[3, 9, 33]] = x[[7, 1, 77]]  # the same classes
    x_test[34] = x_test[35]  # twice in test, and in no other
    y_test = labels_of(40, 4)
    y_test[[3, 9, 33, 34, 35]] = 7 % 4, 1, 77 % 4, 0, 0
    scale = 255 if kind == "floats" else 1
    pixels = {"x": x / scale, "x_test": x_test / scale} if kind == "floats" else {"x": x, "x_test": x_test}
    npz(tmp_path, **pixels, y=labels_of(80, 4), y_test=y_test)
    assert said_of(tmp_path, NPZ + train) == [
        "data npz: 3 of 40 test pictures are training or validation pictures too, pixel for pixel: accuracy on them is "
        "no test; remove them on one side"
    ]


def test_a_carved_test_split_is_compared_with_what_is_left(tmp_path: Path) -> None:
    """Counted by hand: the pictures of the test split that are anywhere else."""
    x = bytes_of(0, 120, 4, 4)
    x[60:] = x[:60]
    npz(tmp_path, x=x, y=labels_of(120, 4))
    sweep = sweep_on(tmp_path, NPZ)
    pool, splits = preflight(sweep, DataLocation(root=tmp_path))
    assert splits.test is not None
    rows = set(splits.test.index.tolist())
    twins = sum((row + 60) % 120 not in rows for row in rows)
    assert 0 < twins < 24
    (line,) = remarks(sweep, pool)
    assert line.startswith(f"data npz: {twins} of 24 test pictures are training or validation pictures too")


def test_a_picture_under_two_classes_is_said_with_their_names(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own", count=20)
    for part in ("train", "test"):  # those of the two parts are the same
        for label in ("cat", "dog"):
            for place in range(20):
                seed = 1000 * (part == "test") + 100 * (label == "cat") + place
                Image.fromarray(bytes_of(seed, 5, 5, 3)).save(folder / part / label / f"{place}.png")
    (folder / "test" / "dog" / "0.png").write_bytes((folder / "train" / "cat" / "4.png").read_bytes())
    (folder / "train" / "dog" / "1.png").write_bytes((folder / "train" / "cat" / "2.png").read_bytes())
    lines = said_of(tmp_path, 'name = "image_folder"\npath = "own"\nside = 5\nvalidation = 8')
    assert lines == [
        "data image_folder: 1 of 40 test pictures are training or validation pictures too, pixel for pixel: accuracy "
        "on them is no test; remove them on one side",
        "data image_folder: 2 pictures are there under two classes or more, pixel for pixel, as class cat and class "
        "dog: no answer is right for both; keep the right ones",
    ]


def test_unequal_classes_are_said_by_name_and_share(tmp_path: Path) -> None:
    words = np.array(["many"] * 90 + ["few"] * 10 + ["some"] * 20)
    npz(tmp_path, x=bytes_of(0, 120, 4, 4), y=words, x_test=bytes_of(1, 9, 4, 4), y_test=words[85:105:2][:9])
    (line,) = said_of(tmp_path, NPZ)
    assert line.startswith(
        "data npz: classes are unequal: class many has 75 % (75) of the training examples, class few"
    )
    assert "class few has 8 % (8); accuracy counts examples, not classes" in line


@pytest.mark.parametrize(("counts", "said"), [([20, 10], False), ([21, 10], True), ([5, 5, 5], False), ([5, 0], True)])
def test_a_factor_of_two_is_where_unequal_begins(counts: list[int], said: bool) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    part = Examples.of(images=torch.zeros(len(labels), 1, 2, 2), labels=labels)
    lines = unequal_classes(Splits(train=part, validation=part, test=None, classes=len(counts)))
    assert bool(lines) == said


def test_classes_without_a_test_example_are_said_by_check_and_run(tmp_path: Path) -> None:
    words = np.array(["one", "two", "three", "four"] * 20)
    npz(tmp_path, x=bytes_of(0, 80, 4, 4), y=words, x_test=bytes_of(1, 8, 4, 4), y_test=words[:2].repeat(4))
    line = (
        "data npz: no test example is of class four, class three: accuracy on the test split says nothing of them; add "
        "examples, or leave the class out"
    )
    assert said_of(tmp_path, NPZ) == [line]
    sweep, said = sweep_on(tmp_path, NPZ), list[str]()
    with pytest.raises(RuntimeError, match="the phase ended before"):
        run(sweep, tmp_path / "results", say=said.append, place=DataLocation(root=tmp_path), launch=idle)
    assert said == [line]


LEVELS = {
    1: "training pictures are nearly black: the largest value of all is 1 of 255",  # [0, 1], then integers
    16: "training pictures are nearly black: the largest value of all is 16 of 255",  # digits as scikit-learn has them
    26: "",
    0: "all pixels of the training pictures are 0: there is nothing to learn from",
}


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("high", LEVELS)
def test_pictures_that_are_nearly_black_are_said(high: int, floats: bool, tmp_path: Path) -> None:
    """A float of 255 levels was scaled twice: it ends at 1 / 255."""
    x = (bytes_of(0, 120, 4, 4) % (high + 1)).astype(np.uint8)
    npz(tmp_path, x=(x / 255).astype(np.float32) if floats else x, y=labels_of(120, 4))
    words = LEVELS[high].replace("16 of 255", "0.0627451 of 1").replace("1 of 255", "0.00392157 of 1")
    lines = [line for line in said_of(tmp_path, NPZ) if "pixel for pixel" not in line]
    assert len(lines) == bool(words)
    assert all(line.startswith(f"data npz: {words if floats else LEVELS[high]}") for line in lines)


@dataclass(frozen=True, kw_only=True)
class Theirs(Dataset):
    """A user's data set: its pictures 0 to 99 twice each; the test split is what the others leave."""

    def pool(self, place: DataLocation) -> Pool:
        images = torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(200, 1, 4, 4) % 100
        return Pool(train=Examples.of(images=images.contiguous(), labels=torch.arange(200) % 4), test=None, classes=4)


@dataclass(frozen=True, kw_only=True)
class Made(Theirs):
    """One whose splits hold pictures that its pool has not."""

    def split(self, pool: Pool) -> Splits:
        images, labels = torch.arange(12, dtype=torch.uint8)[:, None, None, None] % 8, torch.arange(12) % 4
        train, validation, test = (
            Examples.of(images=images[start : start + 4], labels=labels[start : start + 4]) for start in (0, 4, 8)
        )
        return Splits(train=train, validation=validation, test=test, classes=4)


def test_data_sets_of_plugins_are_looked_at_too() -> None:
    value: Any = Theirs(train=120, validation=40)
    pool = value.pool(DataLocation())
    test = value.split(pool).test.index.tolist()
    twins = sum((row + 100) % 200 not in test for row in test)
    assert repeated(pool, value.split(pool))[0].startswith(f"{twins} of 40 test pictures are training or validation")
    assert twins > 20
    assert repeated(pool, Made().split(pool))[0].startswith("4 of 4 test pictures are training or validation")


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_of_shipped_data_there_is_nothing_to_say(name: str, tmp_path: Path) -> None:
    assert said_of(tmp_path, f'name = "{name}"') == []


def leaking(folder: Path) -> Sweep:
    x = bytes_of(0, 80, 4, 4)
    words = np.array(["one", "[two]", "three", "four"] * 20)
    npz(folder, x=x, y=words, x_test=x[:8], y_test=words[:8])
    return sweep_on(folder, NPZ)


def test_run_says_it_once_before_anything_starts(tmp_path: Path) -> None:
    sweep, said = leaking(tmp_path), list[str]()
    for repeat in (sweep, sweep.nth(2)):
        with pytest.raises(RuntimeError, match="the phase ended before"):
            run(
                repeat,
                tmp_path / "results",
                say=said.append,
                place=DataLocation(root=tmp_path),
                launch=idle,
            )
    assert said == [
        "data npz: 8 of 8 test pictures are training or validation pictures too, pixel for pixel: accuracy on them is "
        "no test; remove them on one side"
    ]


def test_names_of_classes_travel_to_workers(tmp_path: Path) -> None:
    pool, splits = preflight(leaking(tmp_path), DataLocation(root=tmp_path))
    for data in (pool, splits):
        again = SharedData.pack(data).unpack()
        assert type(again) is type(data)
        assert again.names == ("[two]", "four", "one", "three")


def test_check_and_run_print_it_and_an_exported_network_knows_its_classes(tmp_path: Path) -> None:
    leaking(tmp_path)
    checked = called("check", "own.toml", "--data", ".", folder=tmp_path)
    first, *rest = checked.stdout.splitlines()
    assert first.endswith("8 test examples of 4 classes ([two], four, one, three)")
    assert len(rest) == 1
    assert rest[0].startswith("data npz: 8 of 8 test pictures are training or validation pictures too")
    ran = called("run", "own.toml", "--data", ".", "--in-process", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("regtune: data npz: 8 of 8 test pictures are training or validation pictures too") == 1
    _, script = export(load(tmp_path / "results" / "own"), "baseline", None, tmp_path / "net")
    assert "# [N, 4] ([two], four, one, three)" in script.read_text()
