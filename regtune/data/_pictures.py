"""Picture files in `train/<class>/...` and `test/<class>/...`, in a folder or in a tar: found, and read."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regtune.data._decode import decoded, said_of
from regtune.errors import Refused

PARTS = ("train", "test")
_NAMED = 3  # bad files that a refusal names
_BLOCK = 512  # bytes; a tar ends with two blocks of zeros
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError)


@dataclass(frozen=True, kw_only=True, order=True)
class Picture:
    """A file: which split, the name of its class, and its path below the folder or in the tar."""

    part: str
    label: str
    path: str


def is_tar(path: Path) -> bool:
    """Return whether a path names a tar, by its ending."""
    return path.name.endswith((".tar", ".tar.gz", ".tgz"))


def find_pictures(path: Path, where: str) -> list[Picture]:
    """Return the pictures of a folder or tar, sorted; hidden files and what lies elsewhere are left out.

    Raises Refused: no pictures, files that lie in no class, a tar that is damaged.
    """
    if is_tar(path):
        try:
            with tarfile.open(path, encoding="utf-8") as tar:
                names = [member.name for member in tar if member.isfile()]
            _check_end(path)
        except _DAMAGE as error:
            raise Refused(f"{where}: {path} is damaged or half downloaded: {error}") from error
    elif path.is_dir():
        # Links to folders are followed: people put their classes together by them.
        found = ((Path(folder), name) for folder, _, files in os.walk(path, followlinks=True) for name in files)
        names = [(folder / name).relative_to(path).as_posix() for folder, name in found]
    else:
        raise Refused(f"{where}: expected a folder, .tar, .tar.gz or .tgz, given {path}; correct data.path")
    paths = [(name, PurePosixPath(name).parts) for name in names]
    paths = [(name, parts) for name, parts in paths if parts[0] in PARTS and not any(p.startswith(".") for p in parts)]
    stray = sorted(name for name, parts in paths if len(parts) < 3)
    if stray:
        raise Refused(f"{where}: expected train/<class>/<picture> in {path}, given {_listed(stray)}; move or remove")
    if not any(parts[0] == "train" for _, parts in paths):
        raise Refused(f"{where}: expected train/<class>/<picture> in {path}, found no such file")
    return sorted(Picture(part=parts[0], label=parts[1], path=name) for name, parts in paths)


class Read(NamedTuple):
    """Pictures uint8 [N, C, side, side], in order, and what a user should know of how they were read."""

    levels: NDArray[np.uint8]
    notes: tuple[str, ...]


def read_pictures(path: Path, pictures: list[Picture], *, side: int, colour: str, fit: str, where: str) -> Read:
    """Return the levels of picture files; raises Refused, naming files that have none."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise Refused(f"{where}: needs pillow, which is not installed; pip install 'regtune[vision]'") from error
    rows = {picture.path: row for row, picture in enumerate(pictures)}
    result = np.empty((len(rows), 3 if colour == "rgb" else 1, side, side), dtype=np.uint8)
    bad, unfit, known = [], [], []
    try:
        for name, raw in _contents(path, rows):
            try:
                result[rows[name]], facts = decoded(name, raw, side=side, colour=colour, fit=fit)
            except Refused as error:
                unfit.append(f"{name} ({error})")
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what pillow says of no picture
                bad.append(name)
            else:
                known.append(facts)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Refused(f"{where}: {path} is damaged or half downloaded: {error}") from error
    if bad:
        raise Refused(
            f"{where}: {len(bad)} of {len(rows)} files are no pictures that pillow can read: {_listed(sorted(bad))}; "
            f"mend or remove them"
        )
    if unfit:
        raise Refused(
            f"{where}: {len(unfit)} of {len(rows)} pictures cannot be scaled to 0..255: {_listed(sorted(unfit))}; save "
            f"them with 8 or 16 bits, or as floats in [0, 1]"
        )
    return Read(result, said_of(sorted(known), side=side, fit=fit))


def _check_end(path: Path) -> None:
    """Raise EOFError for a plain tar that was cut off: between two files nothing else would tell."""
    if path.suffix == ".tar":
        with path.open("rb") as file:
            file.seek(-_BLOCK, os.SEEK_END)
            if file.read().strip(b"\0"):
                raise EOFError("no end-of-archive mark")


def _contents(path: Path, names: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every file, a tar's in its own order: it may be compressed."""
    if not is_tar(path):
        for name in names:
            yield name, (path / name).read_bytes()
        return
    with tarfile.open(path, encoding="utf-8") as tar:
        for member in tar:
            opened = tar.extractfile(member) if member.name in names and member.isfile() else None
            if opened is not None:
                yield member.name, opened.read()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
