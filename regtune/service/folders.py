"""The folders of sweeps: which there may be, what may not lie in them, and how much is read of one."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from regtune.core.errors import shown
from regtune.core.file_names import as_file, as_text
from regtune.service.problems import Denied
from regtune.service.settings import MIB
from regtune.storage.layout import COMPRESSED, repeats_of
from regtune.sweep.schema import NAME

PACKED = 8  # how many times as long a compressed log may be


class Linked(Denied):
    """The refusal of a sweep with a link in its folder."""


def folder_of(results: Path, name: str) -> Path:
    """Return where a sweep of this name has its folder, or would; raises Denied for what is no name, or a link."""
    if not re.fullmatch(NAME, name):
        raise Denied(404, f"sweep: expected a name of letters, digits, . _ and -, given {shown(name)}")
    folder = results / as_file(name)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Denied(404, f"sweep: expected a folder of a sweep, given {shown(name)}, which is none")
    if folder.is_dir():
        for link in (each for part in (folder, *folder.glob("repeat-*")) for each in _links(part)):
            raise Linked(404, f"sweep {name}: expected files of its own, given a link, {shown(as_text(link.name))}")
    return folder


def _links(folder: Path) -> list[Path]:
    """Return what is a link: a folder itself, or what lies in it."""
    if folder.is_symlink():
        return [folder]
    return [each for each in folder.iterdir() if each.is_symlink()] if folder.is_dir() else []


def check_size(folder: Path, most: int) -> None:
    """Raise Denied for a log of more than so many bytes."""
    size = log_bytes(folder)
    if size > most:
        raise Denied(
            413,
            f"{as_text(folder.name)}: expected a log of at most {most // MIB} MiB, given {size // MIB}; regtune table "
            f"reads it, and regtune serve --max-log raises this limit",
        )


def log_bytes(folder: Path) -> int:
    """Return how long the log of a folder is at most, with what is compressed of it."""
    size = 0
    for file in folder.glob("log*.jsonl*"):
        with contextlib.suppress(FileNotFoundError):  # it was compressed meanwhile, or is gone
            size += file.stat().st_size * (PACKED if file.name.endswith(COMPRESSED) else 1)
    return size


def log_bytes_of_repeats(folder: Path) -> int:
    """Return how long the logs of all repeats of a sweep are together."""
    return sum(map(log_bytes, repeats_of(folder)))
