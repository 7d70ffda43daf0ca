"""A user's own pictures and arrays, and what is refused of them in one line."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from regtune.data import DataLocation, Pool
from regtune.data.image_folder import ImageFolder
from regtune.data.npz import Npz
from tests.originals import bytes_of, labels_of, packed, write_pictures
from tests.test_published_data import refusal


def folder_pool(root: Path, path: str = "own", **knobs: Any) -> Pool:
    return ImageFolder(path=path, **knobs).pool(DataLocation(root=root))


def test_pictures_are_read_by_class_and_part(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own")
    pool = folder_pool(tmp_path, side=5)
    assert pool.test is not None
    assert pool.classes == 2
    assert pool.train.labels.tolist() == [0] * 6 + [1] * 6, "cats before dogs"
    assert pool.train.images[7].equal(torch.from_numpy(bytes_of(1, 5, 5, 3)).permute(2, 0, 1))
    assert len(pool.test) == 12
    assert pool.train.source is not pool.test.source


@pytest.mark.parametrize(("ending", "start"), [(".tar", ""), (".tar.gz", "./"), (".tgz", "")])
def test_a_tar_is_the_folder(ending: str, start: str, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    (folder / "train" / "cat" / ".DS_Store").write_text("hidden")
    (folder / "README").write_text("beside")
    tar = packed(folder, ending, start)
    a, b = folder_pool(tmp_path), folder_pool(tmp_path, tar.name)
    assert a.train.images.equal(b.train.images)
    assert a.train.labels.equal(b.train.labels)


def test_sizes_and_colours(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    file = folder / "train" / "cat" / "0.png"
    with Image.open(file) as image:
        expected = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BILINEAR))
    pool = folder_pool(tmp_path, side=8, colour="grey")
    assert pool.train.images.shape == (12, 1, 8, 8)
    assert pool.train.images[0, 0].equal(torch.from_numpy(expected.copy()))
    assert folder_pool(tmp_path, side=8).train.images.shape == (12, 3, 8, 8)


def test_without_a_test_split_one_is_carved_that_no_seed_moves(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own", count=30, parts=("train",))
    pool = folder_pool(tmp_path)
    parts = []
    for seed in (0, 1):
        splits = ImageFolder(path="own", validation=10, split_seed=seed, test_share=0.25).split(pool)
        assert splits.test is not None
        assert (len(splits.test), len(splits.validation), len(splits.train)) == (15, 10, 35)
        everything = torch.cat([splits.test.index, splits.validation.index, splits.train.index])
        assert sorted(everything.tolist()) == list(range(60))
        parts.append(splits)
    first, second = parts
    assert first.test is not None
    assert second.test is not None
    assert first.test.index.equal(second.test.index)
    assert not first.train.index.equal(second.train.index)


def test_bad_pictures_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    for place in range(4):
        (folder / "train" / "dog" / f"bad{place}.jpg").write_text("no picture")
    half = folder / "test" / "cat" / "1.png"
    half.write_bytes(half.read_bytes()[:60])
    for path in ("own", packed(folder).name):
        said = refusal(ImageFolder(path=path), tmp_path)
        assert "5 of 28 files are no pictures" in said
        assert "test/cat/1.png, train/dog/bad0.jpg, train/dog/bad1.jpg and 2 more; mend or remove" in said


def test_folders_and_tars_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    assert "data.path: expected a path below the data folder" in refusal(ImageFolder(), tmp_path)
    for path in ("/own", "../own"):
        assert "data.path: expected a path below" in refusal(ImageFolder(path=path), tmp_path)
    assert "found nothing; correct data.path" in refusal(ImageFolder(path="owm"), tmp_path)
    assert "found no such file" in refusal(ImageFolder(path="own/train"), tmp_path)
    (folder / "train" / "loose.png").write_bytes(b"")
    assert "given train/loose.png; move or remove" in refusal(ImageFolder(path="own"), tmp_path)
    (folder / "train" / "loose.png").rename(tmp_path / "file.png")
    assert "expected a folder, .tar" in refusal(ImageFolder(path="file.png"), tmp_path)
    (folder / "test" / "bird").mkdir()
    (folder / "test" / "cat" / "0.png").rename(folder / "test" / "bird" / "0.png")
    assert "expected the classes of train/ in test/ too, given bird" in refusal(ImageFolder(path="own"), tmp_path)
    for ending in (".tar", ".tar.gz"):
        tar = packed(folder, ending)
        tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
        assert f"{tar} is damaged or half downloaded" in refusal(ImageFolder(path=tar.name), tmp_path)
    assert tarfile.is_tarfile(packed(folder))


X: NDArray[np.uint8] = bytes_of(0, 12, 4, 4)


def npz(root: Path, **arrays: Any) -> Npz:
    np.savez(root / "own.npz", **arrays)
    return Npz(path="own.npz", validation=2)


@pytest.mark.parametrize("shape", [(12, 4, 5), (12, 1, 4, 5), (12, 3, 4, 5), (12, 4, 5, 3), (12, 4, 5, 1)])
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_arrays_of_every_shape(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    raw = bytes_of(1, *shape)
    value = npz(tmp_path, x=raw if kind == "uint8" else raw / 255, y=labels_of(12, 3))
    pool = value.pool(DataLocation(root=tmp_path))
    first = raw[:, None] if raw.ndim == 3 else raw if shape[1] in (1, 3) else raw.transpose(0, 3, 1, 2)
    expected = torch.from_numpy(np.ascontiguousarray(first))
    assert pool.train.images.dtype == (torch.uint8 if kind == "uint8" else torch.float32)
    torch.testing.assert_close(
        pool.train.images.double(), expected / (1 if kind == "uint8" else 255.0), check_dtype=False
    )
    splits = value.split(pool)
    assert splits.test is not None
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 12


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no y": ({"x": X}, "expected arrays x and y, given ['x']"),
    "too few labels": ({"x": X, "y": labels_of(11)}, "expected y as whole numbers [N], one for each image"),
    "labels of no kind": ({"x": X, "y": labels_of(12) / 2}, "given 6 of 12 that are none, the first 0.5 at y[1]"),
    "labels in rows": ({"x": X, "y": labels_of(12)[:, None]}, "given int64 [12, 1]; y[:, 0] is such a column"),
    "negative labels": ({"x": X, "y": labels_of(12) - 1}, "expected y from 0, given -1"),
    "a gap": ({"x": X, "y": 2 * labels_of(12, 3)}, "every class from 0 to 4 in y, class 1 has no example"),
    "a label far off": ({"x": X, "y": labels_of(12) * 10**9}, "number the classes from 0 without gaps"),
    "rows of words": (
        {"x": np.full((12, 2), "a"), "y": labels_of(12)},
        "expected rows of numbers, given <U1; a table of words",
    ),
    "infinite rows": ({"x": np.full((12, 2), np.inf), "y": labels_of(12)}, "expected finite numbers up to 1e+18 in x"),
    "two channels": ({"x": bytes_of(0, 12, 2, 4, 4), "y": labels_of(12)}, "with 1 or 3 channels, given [12, 2, 4, 4]"),
    "which axis": ({"x": bytes_of(0, 12, 3, 4, 3), "y": labels_of(12)}, "turn it with transpose"),
    "integers": ({"x": X.astype(np.int32), "y": labels_of(12)}, "given int32; use astype"),
    "floats to 255": ({"x": X.astype(np.float32), "y": labels_of(12)}, "divide it by 255"),
    "not a number": (
        {"x": np.full((12, 4, 4), np.nan), "y": labels_of(12)},
        "given 192 of 192 values that are, the first nan at x[0, 0, 0]",
    ),
    "16 bits": (
        {"x": X.astype(np.uint16) * 257, "y": labels_of(12)},
        "make floats and scale them to [0, 1], by one scale for all images",
    ),
    "truth": ({"x": X > 9, "y": labels_of(12)}, "given bool; use astype('float32')"),
    "below 0": ({"x": X / 127.5 - 1, "y": labels_of(12)}, "scale it to [0, 1], by one scale for all images"),
    "no pixels": ({"x": X[:, :0] / 255, "y": labels_of(12)}, "expected x with pixels, given [12, 0, 4]"),
    "four channels": ({"x": bytes_of(0, 12, 5, 5, 4), "y": labels_of(12)}, "keep 1 or 3 of the channels"),
    "other names": ({"images": X, "labels": labels_of(12)}, "given ['images', 'labels']; name them in np.savez"),
    "objects": (
        {"x": np.array([X, "a"], dtype=object), "y": labels_of(2)},
        "expected arrays of numbers or strings, given x",
    ),
    "half a test": ({"x": X, "y": labels_of(12, 3), "x_test": X}, "given one of them; add the other"),
    "nothing": ({"x": X[:0], "y": labels_of(0)}, "expected y as whole numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arrays_of_no_use_are_refused(case: str, tmp_path: Path) -> None:
    arrays, words = REFUSED[case]
    assert words in refusal(npz(tmp_path, **arrays), tmp_path)


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    value = npz(tmp_path, x=X, y=labels_of(12, 3))
    file = tmp_path / "own.npz"
    whole = file.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(content)
        assert str(file) in refusal(value, tmp_path)
    np.save(tmp_path / "one.npy", X)
    assert "given a single array" in refusal(Npz(path="one.npy"), tmp_path)


def test_what_a_folder_has_beside_train_and_test_is_said(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    assert folder_pool(tmp_path).notes == ()
    (folder / "val").mkdir()
    (folder / "Test").mkdir()
    (folder / "train" / "emu").mkdir()
    (folder / "train" / "emu" / ".hidden").write_text("")
    for _ in range(2):  # what is kept in a file is told each time
        first, second = folder_pool(tmp_path).notes
        assert first.startswith("Test/, val/ left out: train/ and test/ are what is read")
        assert second == "train/emu left out: no pictures in it"
    (folder / "train").rename(folder / "Train")
    said = refusal(ImageFolder(path="own"), tmp_path)
    assert "found no such file, given Train/, test/" in said


def test_what_a_tar_holds_twice_counts_as_its_last(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    whole = folder_pool(tmp_path)
    file = folder / "train" / "cat" / "0.png"
    tar = packed(folder)
    other = folder / "train" / "cat" / "1.png"
    with tarfile.open(tar, "a") as opened:
        opened.add(other, "train/cat/0.png")
    file.write_bytes(other.read_bytes())
    assert folder_pool(tmp_path, tar.name).train.images.equal(folder_pool(tmp_path).train.images)
    assert not folder_pool(tmp_path, tar.name).train.images.equal(whole.train.images)


def test_links_are_read_or_refused_and_never_left_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    cats = folder / "train" / "cat"
    (cats / "hard.png").hardlink_to(cats / "0.png")
    tar = tmp_path / "as_it_is.tar"
    with tarfile.open(tar, "w") as opened:
        opened.add(folder / "train", "train")
    assert len(folder_pool(tmp_path, tar.name).train) == len(folder_pool(tmp_path).train) == 13
    (cats / "soft.png").symlink_to("0.png")
    assert len(folder_pool(tmp_path).train) == 14
    with tarfile.open(tar, "w") as opened:
        opened.add(folder / "train", "train")
    said = refusal(ImageFolder(path=tar.name), tmp_path)
    assert "given 1 symbolic links, as train/cat/soft.png; pack it with tar --dereference" in said
    (cats / "soft.png").unlink()
    (cats / "soft.png").symlink_to("gone.png")
    assert "soft.png is no file, a link to gone.png that leads nowhere" in refusal(ImageFolder(path="own"), tmp_path)
    (cats / "soft.png").unlink()
    os.mkfifo(cats / "pipe.png")
    assert "pipe.png is no file; remove it" in refusal(ImageFolder(path="own"), tmp_path)
    (cats / "pipe.png").unlink()
    (cats / "round").symlink_to(folder / "train")
    assert "which it is in; remove the link" in refusal(ImageFolder(path="own"), tmp_path)


def test_a_picture_beyond_pillow_s_limit_is_said_to_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    folder = write_pictures(tmp_path / "own")
    Image.new("L", (50, 50)).save(folder / "train" / "cat" / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # a warning up to twice as many
    assert len(folder_pool(tmp_path).train) == 13
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    said = refusal(ImageFolder(path="own", side=8), tmp_path)
    assert "1 of 25 pictures have more pixels than pillow opens, 2,000: train/cat/large.png; make them smaller" in said
