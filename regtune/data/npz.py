"""Your own arrays: an .npz file with `x` and `y` and, if you have them, `x_test` and `y_test`."""

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

from regtune.data._examples import Examples
from regtune.data._finite import check_finite
from regtune.data._labels import read_labels
from regtune.data._place import Place
from regtune.data._real import Own
from regtune.data._splits import Pool
from regtune.errors import Refused

CHANNELS = (1, 3)
SHAPES = "[N, H, W], [N, C, H, W] or [N, H, W, C] with 1 or 3 channels"


@dataclass(frozen=True, kw_only=True)
class Npz(Own):
    """Images x, uint8 or floats in [0, 1], as [N, H, W], [N, C, H, W] or [N, H, W, C]; classes y [N].

    Classes are whole numbers from 0 or from 1, strings, booleans, whole floats, or one-hot rows [N, classes].

    `path` is an .npz file below the data folder, as `numpy.savez(file, x=x, y=y)` writes it; objects in it
    are not unpickled. Source: none, made for regtune.
    """

    def pool(self, place: Place) -> Pool:
        """Return all examples; raises Refused for arrays of other shapes, types or values."""
        file = place.below(self.path, self.where)
        where, arrays = f"{self.where}: {file}", self._arrays(file)
        if ("x_test" in arrays) != ("y_test" in arrays):
            raise Refused(f"{where}: expected x_test and y_test, given one of them; add the other")
        parts = [("x", "y"), ("x_test", "y_test")][: 2 if "x_test" in arrays else 1]
        for x, y in parts:
            _check_counts(arrays[x], arrays[y], x, y, where)
        labels, tested = read_labels(arrays["y"], arrays.get("y_test"), where)
        train, *test = (
            Examples.of(images=_images(arrays[x], x, where), labels=torch.from_numpy(given.numbers))
            for (x, _), given in zip(parts, (labels, tested), strict=False)
            if given is not None
        )
        return Pool(
            train=train,
            test=test[0] if test else None,
            classes=labels.classes,
            names=labels.names,
            notes=labels.notes,
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
                    raise Refused(f"{self.where}: {file}: expected arrays x and y, given {sorted(opened.files)[:9]}")
                return {name: opened[name] for name in names}
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise Refused(f"{self.where}: {file} is damaged, or no .npz file: {error}") from error
        except ValueError as error:
            if isinstance(error, Refused):
                raise
            raise Refused(
                f"{self.where}: {file}: expected arrays of numbers or strings, given: {error}; astype(str) makes "
                f"strings of objects"
            ) from error


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
        raise Refused(f"{where}: expected {x} as {SHAPES}, given {list(images.shape)}; turn it with transpose")
    if images.dtype.kind == "f":
        check_finite(images, x, where)
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 1:
            raise Refused(f"{where}: expected {x} in [0, 1] or uint8, given {low} to {high}; divide it by 255")
        channels_first = channels_first.astype(np.float32)
    elif images.dtype != np.uint8:
        raise Refused(f"{where}: expected {x} as uint8 or floats in [0, 1], given {images.dtype}; use astype")
    return torch.from_numpy(np.ascontiguousarray(channels_first))


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
