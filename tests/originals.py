"""Small files in the original formats of published data sets, and a user's own, for tests to read."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

Bytes = NDArray[np.uint8]


def bytes_of(seed: int, *shape: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def labels_of(count: int, classes: int = 10) -> NDArray[np.int64]:
    return np.arange(count) % classes


def write_idx(root: Path, folder: str, train: int = 60, test: int = 20) -> None:
    """MNIST's format; torchvision checks no sums of unpacked files."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        images = struct.pack(">iiii", 0x803, count, 28, 28) + bytes_of(count, count, 28, 28).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">ii", 0x801, count) + labels_of(count).astype(np.uint8).tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_pickles(root: Path, published: Any, rows: dict[str, dict[str, Any]], patch: pytest.MonkeyPatch) -> None:
    """CIFAR's format. torchvision knows the sums of the true files: here it is given those of the small ones."""
    folder = root / published.base_folder
    folder.mkdir(parents=True)
    for name, content in rows.items():
        (folder / name).write_bytes(pickle.dumps(content))
    for table in ("train_list", "test_list"):
        patch.setattr(published, table, [[name, md5(folder / name)] for name, _ in getattr(published, table)])
    sums = {"md5": md5(folder / published.meta["filename"])}
    patch.setattr(published, "meta", published.meta | sums)


def write_svhn(root: Path, published: Any, patch: pytest.MonkeyPatch) -> None:
    """SVHN's format, pictures last and the digit 0 as 10; sums as for CIFAR."""
    root.mkdir(exist_ok=True)
    table = {}
    for part, count in (("train", 40), ("test", 20)):
        url, name, _ = published.split_list[part]
        savemat(root / name, {"X": bytes_of(count, 32, 32, 3, count), "y": (labels_of(count) + 1)[:, None]})
        table[part] = [url, name, md5(root / name)]
    patch.setattr(published, "split_list", table)


def write_pictures(folder: Path, count: int = 6, parts: tuple[str, ...] = ("train", "test"), side: int = 5) -> Path:
    """A folder of PNG files: `count` of cats and of dogs in each part."""
    for part in parts:
        for number, label in enumerate(("dog", "cat")):
            where = folder / part / label
            where.mkdir(parents=True)
            for place in range(count):
                Image.fromarray(bytes_of(100 * number + place, side, side, 3)).save(where / f"{place}.png")
    return folder


def packed(folder: Path, ending: str = ".tar", start: str = "") -> Path:
    """Return a tar of a folder's contents, whose names begin with `start`."""
    target = folder.with_name(folder.name + ending)
    with tarfile.open(target, "w:gz" if ending.endswith("gz") else "w") as tar:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                raw = path.read_bytes()
                member = tarfile.TarInfo(start + path.relative_to(folder).as_posix())
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
    return target
