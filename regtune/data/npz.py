"""Your own arrays: an .npz file of pictures or rows `x`, classes `y` and, if you have them, `x_test` and `y_test`."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regtune.core.columns import Column
from regtune.core.errors import Refused
from regtune.data._examples import Examples
from regtune.data._frames import LARGEST
from regtune.data._labels import check_finite, read_labels
from regtune.data._location import DataLocation
from regtune.data._splits import Pool
from regtune.data._tabular import Tabular

CHANNELS = (1, 3)
SHAPES = "[N, H, W], [N, C, H, W] or [N, H, W, C] with 1 or 3 channels"


@dataclass(frozen=True, kw_only=True)
class Npz(Tabular):
    """Images x, uint8 or floats in [0, 1], as [N, H, W], [N, C, H, W] or [N, H, W, C]; classes y [N].

    Or rows of numbers x [N, F], a table: see `table` for what becomes of missing ones (NaN) and how they are scaled.
    Classes are whole numbers from 0 or from 1, strings, booleans, whole floats, or one-hot rows [N, classes].

    `path` is an .npz file below the data folder, as `numpy.savez(file, x=x, y=y)` writes it; objects in it
    are not unpickled. Source: none, made for regtune.
    """

    def pool(self, place: DataLocation) -> Pool:
        """Return all examples; raises Refused for arrays of other shapes, types or values."""
        file = place.below(self.path, self.where)
        where, arrays = f"{self.where}: {file}", self._arrays(file)
        if ("x_test" in arrays) != ("y_test" in arrays):
            raise Refused(f"{where}: expected x_test and y_test, given one of them; add the other")
        parts = [("x", "y"), ("x_test", "y_test")][: 2 if "x_test" in arrays else 1]
        for x, y in parts:
            _check_counts(arrays[x], arrays[y], x, y, where)
        labels, tested = read_labels(arrays["y"], arrays.get("y_test"), where)
        table = arrays["x"].ndim == 2
        columns = _columns([arrays[x] for x, _ in parts], where) if table else ()
        made = _rows if table else _images
        train, *test = (
            Examples.of(images=made(arrays[x], x, where), labels=torch.from_numpy(given.numbers))
            for (x, _), given in zip(parts, (labels, tested), strict=False)
            if given is not None
        )
        return Pool(
            train=train,
            test=test[0] if test else None,
            classes=labels.classes,
            names=labels.names,
            notes=(*labels.notes, *([_note(len(columns))] if table else [])),
            columns=columns,
        )

    def _arrays(self, file: Path) -> dict[str, NDArray[Any]]:
        try:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise Refused(f"{self.where}: {file}: expected an .npz with arrays x and y, given a single array")
            with loaded as opened:
                names = [name for name in ("x", "y", "x_test", "y_test") if name in opened.files]
                missing = {"x", "y"} - set(names)
                if missing:
                    raise Refused(
                        f"{self.where}: {file}: expected arrays x and y, given {sorted(opened.files)[:9]}; name them "
                        f"in np.savez(file, x=..., y=...)"
                    )
                return {name: _array(opened, name, f"{self.where}: {file}") for name in names}
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise Refused(f"{self.where}: {file} is damaged, or no .npz file: {error}") from error
        except ValueError as error:
            if isinstance(error, Refused):
                raise
            raise Refused(f"{self.where}: {file}: expected an .npz with arrays x and y, given: {error}") from error


def _array(opened: np.lib.npyio.NpzFile, name: str, where: str) -> NDArray[Any]:
    try:
        found: NDArray[Any] = opened[name]
    except ValueError as error:
        way = "astype(str) makes strings" if name.startswith("y") else "np.stack makes an array"
        raise Refused(
            f"{where}: expected arrays of numbers or strings, given {name}: {error}; {way} of objects"
        ) from error
    return found


def _check_counts(images: NDArray[Any], labels: NDArray[Any], x: str, y: str, where: str) -> None:
    if labels.shape[:1] != images.shape[:1] or not labels.ndim or not len(labels):
        raise Refused(
            f"{where}: expected {y} as whole numbers [N], one for each image of {x}, strings [N] or one-hot rows "
            f"[N, classes], given {labels.dtype} {list(labels.shape)} for {list(images.shape)}"
        )


def _images(images: NDArray[Any], x: str, where: str) -> Tensor:
    """Return images as [N, C, H, W], uint8 or float32."""
    channels_first = _channels_first(images)
    if channels_first is None:
        raise Refused(f"{where}: expected {x} as {SHAPES}, given {list(images.shape)}; {_remedy(images)}")
    if not images.size:
        raise Refused(f"{where}: expected {x} with pixels, given {list(images.shape)}")
    if images.dtype.kind == "f":
        check_finite(images, x, where)
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 1:
            raise Refused(f"{where}: expected {x} in [0, 1] or uint8, given {low} to {high}; {_scaling(low, high)}")
        channels_first = channels_first.astype(np.float32)
    elif images.dtype != np.uint8:
        raise Refused(f"{where}: expected {x} as uint8 or floats in [0, 1], given {_kind(images)}")
    return torch.from_numpy(np.ascontiguousarray(channels_first))


def _note(count: int) -> str:
    return f"x is [N, F]: a table of {count} columns; if rows are pictures, reshape each to the picture that it is"


def _columns(arrays: list[NDArray[Any]], where: str) -> tuple[Column, ...]:
    """Return the columns of rows of numbers, called by their places from 0."""
    first = arrays[0]
    if not first.size or any(rows.ndim != 2 or rows.shape[1] != first.shape[1] for rows in arrays):
        raise Refused(
            f"{where}: expected x, and x_test where there is one, as {SHAPES}, or as rows [N, F] of one F, given "
            f"{' and '.join(str(list(rows.shape)) for rows in arrays)}"
        )
    if any(rows.dtype.kind not in "biuf" for rows in arrays):
        raise Refused(f"{where}: expected rows of numbers, given {first.dtype}; a table of words is a .csv or .parquet")
    gaps = set(np.argwhere(np.isnan(np.concatenate(arrays).astype(np.float64)))[:, 1].tolist())
    return tuple(Column(name=f"x{place}", gaps=place in gaps) for place in range(first.shape[1]))


def _rows(rows: NDArray[Any], x: str, where: str) -> Tensor:
    """Return rows [N, F] of numbers, NaN where missing, as [N, F, 1, 1] (float64)."""
    numbers = rows.astype(np.float64)
    if (np.abs(numbers) > LARGEST).any():
        raise Refused(f"{where}: expected finite numbers up to {LARGEST:g} in {x}, given larger ones; mend them")
    return torch.from_numpy(numbers)[:, :, None, None]


def _remedy(images: NDArray[Any]) -> str:
    """Return how images of another shape become some that are taken."""
    if images.ndim == 4 and not any(count in CHANNELS for count in images.shape[1:]):
        return "keep 1 or 3 of the channels"
    return "turn it with transpose or reshape"


def _scaling(low: float, high: float) -> str:
    """Return what brings values to [0, 1]: levels of bytes are known, others need their own ends."""
    return "divide it by 255" if low >= 0 and 1 < high <= 255 else "scale it to [0, 1], by one scale for all images"


def _kind(images: NDArray[Any]) -> str:
    """Return a type that is not taken, its values, and how to convert it without losing any."""
    if images.dtype.kind not in "biu":
        return f"{images.dtype}; give numbers"
    if images.dtype.kind == "b":
        return "bool; use astype('float32')"
    low, high = int(images.min()), int(images.max())
    if low >= 0 and 1 < high <= 255:
        return f"{images.dtype}; use astype('uint8')"
    # astype('uint8') would keep the last 8 bits of every number.
    return f"{images.dtype} from {low} to {high}; make floats and scale them to [0, 1], by one scale for all images"


def _channels_first(images: NDArray[Any]) -> NDArray[Any] | None:
    """Return images as [N, C, H, W], None where their shape does not tell which axis is which."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        return None
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if first == last:
        return None
    return images if first else images.transpose(0, 3, 1, 2)
