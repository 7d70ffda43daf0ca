"""Data as they are given in Python: arrays, tensors, a torch `Dataset`, a path, or the name of a data set.

What lies in memory is written once into the folder of the results, as an .npz file: what a log is about is then there
for every trial, for a run later, and for whoever doubts it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regtune.core.errors import Refused, nearest, shown
from regtune.core.own_code import own_errors
from regtune.core.records import Json
from regtune.core.writing import write
from regtune.data import CACHE, DATASETS, DataLocation, Own, Real

DATA_FILE = "data.npz"
READ = 2**26  # bytes of a file that is known by what it holds; a larger one by its size and time of change
NAMES = ("x", "y", "x_test", "y_test")
EXPECTED = "(x, y) or (x, y, x_test, y_test), a torch Dataset, a path, or the name of a data set"
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class GivenData:
    """The table `[data]`, and the folder below which the data lie: None for that of the results.

    `arrays` are what is to be written there.
    """

    table: Json
    root: Path | None = None
    arrays: Arrays = field(default_factory=dict)

    def seal(self, plugins: Sequence[str] = ()) -> str:
        """Return a hash of what lies in memory, or of the folder of the data and the user's own that lie there.

        Empty for a data set that needs no folder. The log has a hash of the examples themselves, which is read where
        there is something left to train only. Raises Refused where there are no such data.
        """
        digest = hashlib.sha256()
        if self.arrays:
            for name, array in self.arrays.items():
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
            return digest.hexdigest()
        place = self.place(Path())
        with own_errors("data"):
            found = DATASETS.build({"name": "", **self.table}, "data", plugins)
        if not isinstance(found, Real) and type(found).__module__.startswith(f"{DATASETS.package}."):
            return ""  # made up, or part of a library
        digest.update(str(place.root and place.root.resolve()).encode())
        if isinstance(found, Own):
            for fact in _facts(place.below(found.path, found.where)):
                digest.update(fact)
        return digest.hexdigest()

    def place(self, folder: Path) -> DataLocation:
        """Return where the data lie, given the folder of the results."""
        if self.arrays:
            return DataLocation(root=folder)
        return DataLocation(root=self.root) if self.root else DataLocation.from_environment()

    def store(self, folder: Path) -> None:
        """Write what lies in memory into a folder; raises NoRoom."""
        if self.arrays:
            buffer = io.BytesIO()
            np.savez(buffer, **self.arrays)  # type: ignore[arg-type]  # its stubs take the names for a setting
            write(folder / DATA_FILE, buffer.getvalue())


def given_data(data: object) -> GivenData:
    """Return what was given as data; raises Refused for what is none."""
    if isinstance(data, Mapping):
        return GivenData(table=dict(data))
    if isinstance(data, str | Path):
        return _named(data)
    if isinstance(data, tuple | list) and len(data) in (2, 4) and all(map(_is_array, data)):
        return _in_memory({name: _array(part, f"data: {name}") for name, part in zip(NAMES, data, strict=False)})
    if isinstance(data, tuple | list) and len(data) == 2 and all(map(_is_dataset, data)):
        train, test = (_examples(part, where) for part, where in zip(data, ("data[0]", "data[1]"), strict=True))
        return _in_memory({"x": train[0], "y": train[1], "x_test": test[0], "y_test": test[1]})
    if _is_dataset(data):
        x, y = _examples(data, "data")
        return _in_memory({"x": x, "y": y})
    raise Refused(f"data: expected {EXPECTED}, given {shown(data)}")


def _in_memory(arrays: Arrays) -> GivenData:
    return GivenData(table={"name": "npz", "path": DATA_FILE}, arrays=arrays)


def _named(data: str | Path) -> GivenData:
    path = Path(data)
    if isinstance(data, str) and data in DATASETS.all() and not path.exists():
        return GivenData(table={"name": data})
    if not path.exists():
        known = nearest(data, DATASETS.all()) if isinstance(data, str) else ""
        raise Refused(f"data: expected {EXPECTED}, given {shown(str(data))}, which is neither{known}")
    name = "npz" if path.suffix == ".npz" else "image_folder"
    return GivenData(table={"name": name, "path": path.absolute().name}, root=path.absolute().parent)


def _facts(path: Path) -> Iterator[bytes]:
    """Yield what tells files apart: of one of moderate size its bytes, of others their names, sizes and times."""
    if path.is_file() and path.stat().st_size <= READ:
        yield path.read_bytes()
        return
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and CACHE not in file.parts:
            at = file.stat()
            yield f"{file.relative_to(path)} {at.st_size} {at.st_mtime_ns}\n".encode()


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | Tensor) or (isinstance(value, list) and not _is_dataset(value))


def _array(value: Any, where: str) -> NDArray[Any]:
    """Return an array; numbers of more than 32 bits are kept as float32, as training has them.

    Raises Refused for what is none, or has other things than numbers and words.
    """
    expected = f"{where}: expected an array of numbers"
    if isinstance(value, Tensor):
        found = _of_tensor(value, expected)
    else:
        try:
            found = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:  # of lists whose parts differ, of tensors elsewhere
            given = f"{shown(value)}, which makes none: {shown(str(error), 80)}"
            raise Refused(f"{expected}, given {given}; np.stack makes one of parts of one shape") from error
    if found.dtype.hasobject:
        raise Refused(f"{expected}, or of words for labels, given objects; astype(float) or astype(str) makes one")
    return found.astype(np.float32) if found.dtype == np.float64 and found.ndim > 1 else found


def _of_tensor(value: Tensor, expected: str) -> NDArray[Any]:
    if value.layout != torch.strided:
        raise Refused(f"{expected}, given a tensor of layout {value.layout}; x.to_dense() makes one")
    try:
        plain = value.detach().cpu()
        found: NDArray[Any] = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    except (TypeError, RuntimeError) as error:  # quantized, or without numbers
        given = f"a tensor {value.dtype} on {value.device}"
        raise Refused(f"{expected}, given {given}; x.float(), or x.dequantize(), makes one where it has any") from error
    return found


def _is_dataset(value: object) -> bool:
    return isinstance(value, torch.utils.data.Dataset) and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _examples(data: Any, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pictures and labels of a torch Dataset, each read once: its own transforms with it."""
    pictures, labels = list[NDArray[Any]](), list[Any]()
    for place in range(len(data)):
        example = data[place]
        if not isinstance(example, tuple | list) or len(example) != 2:
            raise Refused(f"{where}[{place}]: expected a picture and its label, given {shown(example)}")
        picture, label = example
        found = _array(picture, f"{where}[{place}]")  # also of a picture of pillow
        if found.dtype.kind not in "buif":
            raise Refused(f"{where}[{place}]: expected a picture of numbers, given {shown(picture)}")
        if pictures and found.shape != pictures[0].shape:
            raise Refused(
                f"{where}[{place}]: expected pictures of one shape, {list(pictures[0].shape)}, given "
                f"{list(found.shape)}; resize them in its transform"
            )
        pictures.append(found)
        labels.append(
            label.item() if isinstance(label, Tensor) and label.ndim == 0 else _array(label, f"{where}[{place}]")
        )
    if not pictures:
        raise Refused(f"{where}: expected a data set with examples, given an empty one")
    return np.stack(pictures), np.stack(labels)
