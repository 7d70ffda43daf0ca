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

from regtune.data._examples import Examples
from regtune.data._place import Place
from regtune.data._real import Own
from regtune.data._splits import Pool
from regtune.errors import Refused

CHANNELS = (1, 3)
SHAPES = "[N, H, W], [N, C, H, W] or [N, H, W, C] with 1 or 3 channels"


@dataclass(frozen=True, kw_only=True)
class Npz(Own):
    """Images x, uint8 or floats in [0, 1], as [N, H, W], [N, C, H, W] or [N, H, W, C]; classes y [N] from 0.

    `path` is an .npz file below the data folder, as `numpy.savez(file, x=x, y=y)` writes it; objects in it
    are not unpickled. Source: none, made for regtune.
    """

    def pool(self, place: Place) -> Pool:
        """Return all examples; raises Refused for arrays of other shapes, types or values."""
        file = place.below(self.path, self.where)
        arrays = self._arrays(file)
        if ("x_test" in arrays) != ("y_test" in arrays):
            raise Refused(f"{self.where}: {file}: expected x_test and y_test, given one of them; add the other")
        train = self._examples(file, arrays, "x", "y")
        test = self._examples(file, arrays, "x_test", "y_test") if "x_test" in arrays else None
        classes = int(train.labels.max()) + 1
        absent = sorted(set(range(min(classes, len(train) + 1))) - set(train.labels.tolist()))
        if absent:
            raise Refused(
                f"{self.where}: {file}: expected every class from 0 to {classes - 1} in y, "
                f"class {absent[0]} has no example; number the classes from 0 without gaps"
            )
        return Pool(train=train, test=test, classes=classes)

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
            raise Refused(f"{self.where}: {file}: expected arrays of numbers, given: {error}") from error

    def _examples(self, file: Path, arrays: dict[str, NDArray[Any]], x: str, y: str) -> Examples:
        images, labels = arrays[x], arrays[y]
        where = f"{self.where}: {file}"
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or not len(labels):
            raise Refused(
                f"{where}: expected {y} as whole numbers [N], one for each image of {x}, "
                f"given {labels.dtype} {list(labels.shape)} for {list(images.shape)}"
            )
        if int(labels.min()) < 0:
            raise Refused(f"{where}: expected {y} from 0, given {int(labels.min())}; number the classes from 0")
        channels_first = _channels_first(images)
        if channels_first is None:
            raise Refused(f"{where}: expected {x} as {SHAPES}, given {list(images.shape)}; turn it with transpose")
        if images.dtype.kind == "f":
            low, high = float(images.min()), float(images.max())
            if not (low >= 0 and high <= 1):  # not a number is neither
                raise Refused(f"{where}: expected {x} in [0, 1] or uint8, given {low} to {high}; divide it by 255")
            channels_first = channels_first.astype(np.float32)
        elif images.dtype != np.uint8:
            raise Refused(f"{where}: expected {x} as uint8 or floats in [0, 1], given {images.dtype}; use astype")
        return Examples.of(
            images=torch.from_numpy(np.ascontiguousarray(channels_first)),
            labels=torch.from_numpy(labels.astype(np.int64)),
        )


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
