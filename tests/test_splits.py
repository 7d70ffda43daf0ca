"""Splits: by index, by seed, of all there is or of less; caches; places; what stays on the device."""

from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from regtune.core.errors import Refused
from regtune.core.records import Trial
from regtune.data import DataLocation, Dataset, Examples, Pool, Splits, channel_statistics, joined
from regtune.data._splits import resident
from regtune.data.image_folder import ImageFolder
from regtune.execution.preflight import preflight
from regtune.execution.ray.transfer import SharedData
from regtune.execution.run import run
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data, split_data
from tests.conftest import SWEEP, small_trial
from tests.originals import bytes_of, labels_of, write_pictures
from tests.test_own_data import npz
from tests.test_published_data import data_set

FRESH = SWEEP.replace("seeds = 3", 'seeds = 3\nsplits = "fresh"')


def hashes(examples: Examples) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in examples.images}


def pool_of(count: int = 100, tested: int = 20) -> Pool:
    train = Examples.of(images=torch.from_numpy(bytes_of(0, count, 1, 4, 4)), labels=torch.from_numpy(labels_of(count)))
    test = Examples.of(
        images=torch.from_numpy(bytes_of(1, tested, 1, 4, 4)), labels=torch.from_numpy(labels_of(tested))
    )
    return Pool(train=train, test=test, classes=10)


def mnist(**knobs: Any) -> Dataset:
    return data_set("mnist", **knobs)


def test_splits_share_the_pictures_of_their_pool() -> None:
    pool = pool_of()
    splits = mnist(validation=30).split(pool)
    assert splits.train.source is splits.validation.source is pool.train.source
    assert splits.test is pool.test
    assert sorted(torch.cat([splits.train.index, splits.validation.index]).tolist()) == list(range(100))
    taken = splits.train.take(torch.tensor([3, 5])).take(torch.tensor([1]))
    assert taken.images.equal(splits.train.images[5:6])
    assert taken.labels.equal(splits.train.labels[5:6])
    both = joined(splits.train, splits.validation)
    assert both.source is pool.train.source
    assert splits.without_test().train is splits.train, "pictures of another test split are not behind it"


def test_what_search_sees_holds_no_test_picture_of_a_common_pool() -> None:
    splits = load_data(small_trial())
    seen = splits.without_test()
    assert splits.train.source is splits.test.source  # type: ignore[union-attr]  # there is one
    assert len(seen.train.source) == len(splits.train) + len(splits.validation)
    assert seen.train.source is seen.validation.source
    assert seen.train.images.equal(splits.train.images)
    assert seen.validation.images.equal(splits.validation.images)
    assert seen.without_test() is not splits


def test_validation_is_the_same_for_every_size_of_the_training_split() -> None:
    pool = pool_of()
    few, many, whole = (mnist(validation=20, train=size).split(pool) for size in (10, 40, 0))
    assert few.validation.index.equal(whole.validation.index)
    assert many.train.index[:10].equal(few.train.index)
    assert len(whole.train) == 80
    assert whole.train.labels.bincount().tolist() == [8] * 10
    assert not mnist(validation=20, split_seed=1).split(pool).train.index.equal(whole.train.index)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"validation": 100}, "expected validation to leave training examples, given 100 of 100; lower validation"),
        ({"validation": 99}, "given 99 of 100"),
        ({"validation": 50, "train": 51}, "expected at most 100 examples in all, given 50 + 51; lower train"),
    ],
)
def test_more_examples_than_there_are_are_refused(knobs: dict[str, int], words: str) -> None:
    with pytest.raises(Refused, match=r"^data mnist: ") as error:
        mnist(**knobs).split(pool_of())
    assert words in str(error.value)


def own_sweep(folder: Path, text: str = SWEEP, count: int = 120, **extra: Any) -> Path:
    """Write a sweep on an .npz of its own and the data beside it; return the sweep file."""
    npz(folder, x=bytes_of(0, count, 4, 4), y=labels_of(count, 4), **extra)
    _, _, tail = text.partition("[network]")
    path = folder / "own.toml"
    path.write_text(f'[data]\nname = "npz"\npath = "own.npz"\ntrain = 48\nvalidation = 32\n[network]{tail}')
    return path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("validation = 0", "data.validation: expected a whole number in [2, 100000000], given 0"),
        ("validation = 96", "expected validation to leave training examples, given 96 of 96"),
        ("train = 90", "expected at most 96 examples in all, given 32 + 90"),
        ('train = "al"', "expected a whole number in [2, 100000000] or \"all\", given 'al'"),
        ("label_noise = 1.1", "data.label_noise: expected a number in [0, 1], given 1.1"),
        ('pixels = "shuffle"', "did you mean 'shuffled'?"),
        ('path = "none.npz"', "found nothing"),
    ],
)
def test_check_refuses_in_one_line(settings: str, words: str, tmp_path: Path) -> None:
    path = own_sweep(tmp_path)
    name = settings.partition(" ")[0]
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name} =")]
    path.write_text("\n".join(lines).replace("[data]", f"[data]\n{settings}", 1))
    with pytest.raises(Refused) as error:
        preflight(Sweep.read(path), DataLocation(root=tmp_path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    path = own_sweep(tmp_path)
    npz(tmp_path, x=bytes_of(0, 120, 4, 4), y=labels_of(120, 1))
    with pytest.raises(Refused, match="expected training examples of two classes or more, all are of class 0"):
        preflight(Sweep.read(path), DataLocation(root=tmp_path))


def test_a_test_label_out_of_range_and_test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = own_sweep(tmp_path, x_test=bytes_of(1, 10, 4, 4), y_test=labels_of(10, 5))
    with pytest.raises(Refused, match="expected test labels from 0 to 3, given 0 to 4"):
        preflight(Sweep.read(path), DataLocation(root=tmp_path))
    own_sweep(tmp_path, x_test=bytes_of(1, 10, 4, 5), y_test=labels_of(10, 4))
    with pytest.raises(Refused, match=r"expected test images of the training images' shape \[1, 4, 4\]"):
        preflight(Sweep.read(path), DataLocation(root=tmp_path))


def test_fresh_splits_are_paired_over_arms_and_said(tmp_path: Path) -> None:
    path, place = own_sweep(tmp_path, FRESH), DataLocation(root=tmp_path)
    path.write_text(path.read_text().replace("[data]", '[data]\nlabel_noise = 0.25\npixels = "shuffled"'))
    sweep = Sweep.read(path)
    log = run(sweep, tmp_path / "results", in_process=True, place=place)
    rows = [row for row in read_log(log)[0] if row["event"] == "asked"]
    seeds = {(row["cell"][1], row["cell"][2], row["trial"]["data"]["split_seed"]) for row in rows}
    assert {s for s in seeds if s[0] == "confirm"} == {("confirm", n, sweep.confirm_seed(n)) for n in range(3)}
    assert {s[2] for s in seeds if s[0] == "search"} == {0}
    assert str(tmp_path) not in log.read_text(), "where the data lie is nobody's business but this machine's"
    text = markdown(tables(load(log)))
    assert "Each seed has its own split into training and validation examples, the same in all arms" in text
    assert "seeds and splits together" in text
    assert "on npz own.npz, 48 training examples, each training label resampled with probability 0.25, shuffled" in text
    pool, searched = preflight(sweep, place)
    shipped = SharedData.pack(pool).unpack()
    assert isinstance(shipped, Pool)
    trials = [Trial.from_plain(row["trial"]) for row in rows if row["cell"][1] == "confirm"]
    splits = [split_data(trial, shipped) for trial in trials]
    assert len({tuple(s.train.labels.tolist()) for s in splits}) == 3
    for trial, split in zip(trials, splits, strict=True):
        assert split.train.images.equal(load_data(trial, place).train.images)
        assert split.test is not None
        assert searched.test is not None
        assert split.test.labels.equal(searched.test.labels)
        clean = dataclasses.replace(trial, data=trial.data | {"pixels": "true"})
        plain, before = split_data(clean, shipped), preflight(sweep, place).pool
        assert plain.train.source is shipped.train.source
        assert plain.test is not None
        seen = split_data(dataclasses.replace(clean, data=clean.data | {"split_seed": 0}), before)
        assert not hashes(plain.test) & (hashes(seen.train) | hashes(seen.validation)), "search saw no test picture"


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_fresh_splits_that_would_test_on_what_search_saw_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fresh.toml"
    path.write_text(f'[data]\nname = "{name}"\n[network]{FRESH.partition("[network]")[2]}')
    with pytest.raises(Refused, match="set splits to 'one'"):
        preflight(Sweep.read(path))


def test_the_environment_says_where_data_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGTUNE_DATA", raising=False)
    assert DataLocation.from_environment() == DataLocation()
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    assert DataLocation.from_environment() == DataLocation(root=tmp_path)


def test_statistics_of_many_pictures_are_those_of_few() -> None:
    images = torch.from_numpy(bytes_of(0, 10_001, 3, 4, 4))
    many = Examples.of(images=images, labels=torch.zeros(10_001, dtype=torch.int64))
    mean, std = channel_statistics(many)
    exact = images.double() / 255
    torch.testing.assert_close(mean.double(), exact.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(std.double(), exact.std((0, 2, 3)), rtol=1e-6, atol=0)


def test_pictures_live_on_the_device_if_they_take_a_quarter_of_what_is_free() -> None:
    assert resident(25, 100)
    assert not resident(26, 100)
    assert resident(0, 0)
    free = 80 * 10**9
    for _ in range(8):  # each trial on a shared device leaves less to the next, and none takes the last of it
        needed = 10**9
        assert resident(needed, free)
        free -= needed


def cached_pool(root: Path) -> Pool:
    return ImageFolder(path="own", side=5).pool(DataLocation(root=root))


def test_pictures_are_decoded_once_and_again_when_an_original_changes(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    first = cached_pool(tmp_path)
    (file,) = (tmp_path / "regtune-cache").iterdir()
    stamp = file.stat().st_mtime_ns
    again = cached_pool(tmp_path)
    assert file.stat().st_mtime_ns == stamp
    assert again.test is not None
    assert first.train.images.equal(again.train.images)
    assert first.train.labels.equal(again.train.labels)
    target = folder / "train" / "cat" / "0.png"
    target.write_bytes((folder / "train" / "dog" / "0.png").read_bytes())
    os.utime(target, ns=(0, 0))
    changed = cached_pool(tmp_path)
    assert changed.train.images[0].equal(first.train.images[6])
    assert list((tmp_path / "regtune-cache").iterdir()) == [file]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "nonsense"])
def test_a_damaged_cache_is_made_anew_with_a_warning(damage: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "own")
    whole = cached_pool(tmp_path)
    (file,) = (tmp_path / "regtune-cache").iterdir()
    raw = bytearray(file.read_bytes())
    place = raw.find(whole.train.source.numpy().tobytes()[:64])
    assert place > 0
    raw[place] ^= 1
    contents = {"cut": bytes(raw[: len(raw) // 2]), "empty": b"", "flipped": bytes(raw), "nonsense": b"x" * 999}
    file.write_bytes(contents[damage])
    with pytest.warns(UserWarning, match="damaged .* written again"):
        assert cached_pool(tmp_path).train.images.equal(whole.train.images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached_pool(tmp_path)


def test_without_a_place_for_it_there_is_no_cache_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the cache's folder would be stands for a folder that cannot be written: tests may run as root."""
    write_pictures(tmp_path / "own")
    (tmp_path / "regtune-cache").write_text("")
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    whole = cached_pool(tmp_path)
    (file,) = home.rglob("*.pt")
    assert file.parent.parent == home / "regtune"
    assert cached_pool(tmp_path).train.images.equal(whole.train.images)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "regtune-cache"))
    assert cached_pool(tmp_path).train.images.equal(whole.train.images)


def test_a_split_on_a_device_is_unchanged_on_the_cpu() -> None:
    splits = load_data(small_trial())
    assert splits.to(torch.device("cpu")) is splits
    assert isinstance(splits, Splits)
