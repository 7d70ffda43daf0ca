"""Writing files: whole or not at all, and in one line what to do where there is no room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota that is used up, a limit on a file's size
AGAIN = "and run the same command again: a run resumes from its log"
MAKE_ROOM = (
    f"make room {AGAIN}; of a results folder only the log has to stay, log.jsonl and log-* (weights, checkpoints, "
    f"tables and reports may be deleted), and regtune-cache beside the data may go"
)
RAISE_LIMIT = f"raise the limit on the size of a file (ulimit -f) {AGAIN}"


class NoRoom(OSError):
    """A write that found no room, in one line: for which file, and what to do. `errno` is one of `NO_ROOM`."""

    def __str__(self) -> str:
        """Return the line."""
        return in_one_line(self)


def in_one_line(error: OSError) -> str:
    """Return what the system refused, and where it has no room what to do."""
    remedy = RAISE_LIMIT if error.errno == errno.EFBIG else MAKE_ROOM
    said = error.strerror or " ".join(map(str, error.args))
    return f"{error.filename or 'file system'}: {said}{f'; {remedy}' if error.errno in NO_ROOM else ''}"


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Raise NoRoom, which names the file, where the block finds no room to write it: the system names none."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM or isinstance(error, NoRoom):
            raise
        raise NoRoom(error.errno, os.strerror(error.errno), str(path)) from error


@contextlib.contextmanager
def write_atomically(path: Path, *, suffix: str = "") -> Iterator[Path]:
    """Yield where to write what takes the place of a file at the end of the block; raises NoRoom.

    The file is whole at every moment: as it was, or as it is to be. What is no file, as /dev/null, is written to as it
    is. A file that one process alone writes may name the `suffix` of the other one, so that it is found where that
    process was killed.
    """
    target = path.resolve()  # a link stays one
    part = target.with_name(f"{target.name}{suffix or f'.{secrets.token_hex(4)}.part'}")
    with room_for(path):
        if target.exists() and not target.is_file():
            yield target
            return
        try:
            yield part
            with part.open("r+b") as file:
                os.fsync(file.fileno())  # else a machine that loses power may have the new name and nothing in it
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a whole file, text as UTF-8; raises NoRoom."""
    with write_atomically(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
