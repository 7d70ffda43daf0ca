"""A pool turned into tensors once, and kept in one file beside the data.

The file lies in `regtune-cache` below the data folder; where that cannot be written, in
`$XDG_CACHE_HOME/regtune` or `~/.cache/regtune`, below a name made of the data folder's path; where that
cannot be written either, nothing is kept, with a warning where it is for want of room. It is made again
when an original's size or time of change differs, or when it is damaged. It is read memory-mapped, so
processes on a machine share its pages.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from regtune.core.records import Json
from regtune.core.writing import NoRoom, write_atomically
from regtune.data._examples import Examples
from regtune.data._splits import Pool

CACHE = "regtune-cache"  # the folder, below that of the data
FORMAT = 3  # of the file; another one is made again
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError, OSError)


def cached(root: Path, name: str, settings: Json, originals: Sequence[Path], build: Callable[[], Pool]) -> Pool:
    """Return the pool that `build` makes of the originals (below `root`), from its file if that is of them."""
    key = _key(root, settings, originals)
    file = f"{name}-{_digest(settings)}.pt"
    places = [folder / file for folder in _folders(root)]
    for place in places:
        pool = _read(place, key)
        if pool is not None:
            return pool
    pool = build()
    without_room: list[str] = []
    for place in places:
        try:
            _write(place, key, pool)
        except NoRoom as error:
            without_room.append(f"{place}: {error.strerror}")
        except OSError:  # no permission
            continue
        else:
            return pool
    if without_room:
        text = f"{'; '.join(without_room)}: the pictures are not kept there, and the next run decodes them again"
        warnings.warn(text, stacklevel=2)
    return pool


def _folders(root: Path) -> list[Path]:
    folders = [root / CACHE]
    with contextlib.suppress(RuntimeError):  # a user without a home
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        folders.append(Path(home) / "regtune" / _digest(str(root.resolve())))
    return folders


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _key(root: Path, settings: Json, originals: Sequence[Path]) -> str:
    facts = [(str(path.relative_to(root)), (at := path.stat()).st_size, at.st_mtime_ns) for path in originals]
    return _digest([FORMAT, settings, facts])


def _read(file: Path, key: str) -> Pool | None:
    """Return the pool of a file; None where there is none, or one of other originals, or a damaged one."""
    if not file.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(file, mmap=True, weights_only=True)
        if saved["key"] != key:
            return None
        tensors = {part: (saved[part]["images"], saved[part]["labels"]) for part in ("train", "test") if saved[part]}
        if saved["sums"] != {part: _sums(*pair) for part, pair in tensors.items()}:
            raise ValueError("its checksum is another")
        names, superclasses, notes = (tuple(saved[name]) for name in ("names", "superclasses", "notes"))
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:100]
        warnings.warn(f"{file}: damaged ({type(error).__name__}: {reason}), written again", stacklevel=2)
        return None
    parts = {part: Examples.of(images=images, labels=labels) for part, (images, labels) in tensors.items()}
    return Pool(
        train=parts["train"],
        test=parts.get("test"),
        classes=saved["classes"],
        names=names,
        superclasses=superclasses,
        notes=notes,
    )


class _Outlet(io.FileIO):
    """A file for torch, which says no more than that writing failed: the system's reason is kept here."""

    reason: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of some bytes; note down why that failed."""
        left = memoryview(content).cast("B")
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self.reason = error
            raise
        return memoryview(content).nbytes


def _write(file: Path, key: str, pool: Pool) -> None:
    """Write a pool so that nobody ever sees a half of it; raises OSError where that is impossible."""
    saved: dict[str, Any] = {"key": key, "classes": pool.classes, "sums": {}}
    saved |= {"names": list(pool.names), "superclasses": list(pool.superclasses), "notes": list(pool.notes)}
    for name, part in (("train", pool.train), ("test", pool.test)):
        saved[name] = {"images": part.source, "labels": part.labels} if part is not None else None
        if part is not None:
            saved["sums"][name] = _sums(part.source, part.labels)
    with write_atomically(file) as half:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _Outlet(half, "wb") as outlet:
            try:
                torch.save(saved, outlet)
            except RuntimeError as error:
                raise outlet.reason or OSError(f"{file}: torch could not write it") from error
        half.chmod(0o644)  # as any file beside the data, whatever its maker's umask


def _sums(*tensors: torch.Tensor) -> list[int]:
    return [zlib.crc32(tensor.contiguous().numpy().data) for tensor in tensors]
