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

from regtune.core.errors import Refused
from regtune.data._decode import decoded, said_of

PARTS = ("train", "test")
_OTHER_PARTS = frozenset({"val", "valid", "validation", "dev", "eval", "train", "training", "test", "testing"})
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
                members = [member for member in tar if not member.isdir()]
            _check_end(path)
        except _DAMAGE as error:
            raise Refused(f"{where}: {path} is damaged or half downloaded: {error}") from error
        if links := [m.name for m in members if m.issym() and PurePosixPath(m.name).parts[0] in PARTS]:
            raise Refused(
                f"{where}: expected files in {path}, given {len(links)} symbolic links, as {_listed(links)}; pack it "
                f"with tar --dereference"
            )
        # A hard link is another name of a file; of a file that was added again the last one counts.
        names = list(dict.fromkeys(member.name for member in members if member.isfile() or member.islnk()))
    elif path.is_dir():
        names = [file.relative_to(path).as_posix() for file in _files(path, where)]
    else:
        raise Refused(f"{where}: expected a folder, .tar, .tar.gz or .tgz, given {path}; correct data.path")
    paths = [(name, PurePosixPath(name).parts) for name in names]
    paths = [(name, parts) for name, parts in paths if parts[0] in PARTS and not any(p.startswith(".") for p in parts)]
    stray = sorted(name for name, parts in paths if len(parts) < 3)
    if stray:
        raise Refused(f"{where}: expected train/<class>/<picture> in {path}, given {_listed(stray)}; move or remove")
    if not any(parts[0] == "train" for _, parts in paths):
        tops = sorted({PurePosixPath(name).parts[0] for name in names if len(PurePosixPath(name).parts) > 1})
        given = f", given {_listed([f'{top}/' for top in tops])}" if tops else ""
        raise Refused(f"{where}: expected train/<class>/<picture> in {path}, found no such file{given}")
    return sorted(Picture(part=parts[0], label=parts[1], path=name) for name, parts in paths)


def left_out(path: Path, pictures: list[Picture]) -> tuple[str, ...]:
    """Return in a line each which parts of a folder a user may expect to be read and are not."""
    if not path.is_dir():
        return ()
    folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    lines = []
    if others := [f"{name}/" for name in folders if name.lower() in _OTHER_PARTS and name not in PARTS]:
        lines.append(
            f"{_listed(others)} left out: train/ and test/ are what is read, validation examples are taken from train/"
        )
    full = {(picture.part, picture.label) for picture in pictures}
    classes = [(part, entry.name) for part in PARTS if (path / part).is_dir() for entry in (path / part).iterdir()]
    empty = sorted(f"{part}/{label}" for part, label in classes if (part, label) not in full and label[0] != ".")
    if empty:
        lines.append(f"{_listed(empty)} left out: no pictures in it")
    return tuple(lines)


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
    bad, unfit, huge, known = [], [], [], []
    try:
        for name, raw in _contents(path, rows):
            try:
                result[rows[name]], facts = decoded(name, raw, side=side, colour=colour, fit=fit)
            except Refused as error:
                unfit.append(f"{name} ({error})")
            except Image.DecompressionBombError:
                huge.append(name)
            except (OSError, SyntaxError, ValueError):  # what pillow says of no picture
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
    if huge:
        raise Refused(
            f"{where}: {len(huge)} of {len(rows)} pictures have more pixels than pillow opens, "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,}: {_listed(sorted(huge))}; make them smaller"
        )
    if unfit:
        raise Refused(
            f"{where}: {len(unfit)} of {len(rows)} pictures cannot be scaled to 0..255: {_listed(sorted(unfit))}; save "
            f"them with 8 or 16 bits, or as floats in [0, 1]"
        )
    return Read(result, said_of(sorted(known), side=side, fit=fit))


def _files(path: Path, where: str) -> Iterator[Path]:
    """Yield the files of a folder; raises Refused for what is none and for links that lead into a circle."""
    # Links to folders are followed: people put their classes together by them.
    for folder, below, files in os.walk(path, followlinks=True):
        for name in below:
            link = Path(folder) / name
            if link.is_symlink() and link.resolve() in (here := Path(folder).resolve(), *here.parents):
                raise Refused(f"{where}: {link} leads back to {link.resolve()}, which it is in; remove the link")
        for name in files:
            file = Path(folder) / name
            if not file.is_file():
                raise Refused(f"{where}: {file} is no file{_gone(file)}; remove it")
            yield file


def _gone(file: Path) -> str:
    return f", a link to {file.readlink()} that leads nowhere" if file.is_symlink() else ""


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
            wanted = member.name in names and (member.isfile() or member.islnk())
            opened = tar.extractfile(member) if wanted else None
            if opened is not None:
                yield member.name, opened.read()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
