"""Where results lie: the first repeat of a sweep in its own folder, the others in their own below it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LOG = "log.jsonl"
COMPRESSED = ".gz"  # behind the name of a log that gzip compressed, to be read only
_FOLDER = re.compile(r"repeat-([2-9]|[1-9]\d+)")


def repeat_folder(folder: Path, repeat: int) -> Path:
    """Return the folder of a repeat, from 1, of the sweep whose own folder this is."""
    return folder if repeat == 1 else folder / f"repeat-{repeat}"


def log_in(folder: Path) -> Path:
    """Return the log of a folder, which may not exist: a compressed one where there is that alone."""
    compressed = folder / f"{LOG}{COMPRESSED}"
    return compressed if compressed.is_file() and not (folder / LOG).exists() else folder / LOG


def repeats_of(folder: Path) -> list[Path]:
    """Return the folders of all repeats with a log, in their order: the sweep's own first, and alone without repeats.

    A log, or a folder of a repeat, has none below it and comes back alone. Nothing is read.
    """
    more = {int(match[1]): path for path in folder.glob("repeat-*") if (match := _FOLDER.fullmatch(path.name))}
    return [folder, *(more[repeat] for repeat in sorted(more) if log_in(more[repeat]).is_file())]


def repeat_words(repeat: int, repeats: int) -> str:
    """Return which repeat of how many this is, to say to a user; empty where there is only one."""
    most = max(repeat, repeats)
    return f"repeat {repeat} of {most}" if most > 1 else ""


def folders_beside(given: Iterable[str], folder: Path) -> tuple[str, ...]:
    """Return these folders, each once: below this one, that of a sweep file, where one is there, else as they are."""
    paths = (Path(each).expanduser() for each in given)
    return tuple(dict.fromkeys(str(folder / path if (folder / path).is_dir() else path) for path in paths))
