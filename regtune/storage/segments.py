"""The files of a log: segments that were closed, in their order, then the one that is written.

    log-000001.jsonl.gz  log-000002.jsonl  log.jsonl

A place is a number of bytes from the beginning of the first, as if all were one file that is not compressed. Closing
gives the file that is written a second name and puts an empty one in its place, so that `log.jsonl` is always there;
then it is compressed, and the plain one removed when the compressed one is on the disk. A crash may leave both names
of one file, which is the one that is written, or the plain segment beside the compressed one; then the plain counts.
"""

from __future__ import annotations

import bisect
import contextlib
import fcntl
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.writing import write_atomically
from regtune.storage.blocks import Blocks, compress, decompressed
from regtune.storage.layout import COMPRESSED

SEGMENT_BYTES = 64 * 2**20  # a log that is longer is closed
OPENED = os.O_RDWR | os.O_CREAT | os.O_APPEND  # how a log is opened that is written
_PART, _NEXT = ".part", ".next"  # behind names: see `write_atomically`; what is to be the log


def segment(log: Path, number: int) -> Path:
    """Return what a segment of a log is called, from 1, before it is compressed."""
    return log.with_name(f"{log.stem}-{number:06d}{log.suffix}")


def compressed(path: Path) -> Path:
    """Return what a file is called when it is compressed."""
    return path.with_name(path.name + COMPRESSED)


def is_closed(log: Path, number: int) -> bool:
    """Return whether there is this segment, not only as a second name of the log that is written."""
    plain = segment(log, number)
    if not plain.exists():
        return compressed(plain).exists()
    try:
        return not plain.samefile(log)
    except FileNotFoundError:  # compressed since, or without a log
        return True


def close_segment(log: Path, number: int) -> int | None:
    """Close the log that is written as this segment; return the empty one in its place, open and locked.

    None where that cannot be: a file system may lack hard links, or room. Then the log is as it was.
    """
    following = log.with_name(log.name + _NEXT)
    try:
        file = os.open(following, OPENED | os.O_TRUNC, 0o644)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before it has the name under which others would open it
        with log.open("rb") as written:
            os.fsync(written.fileno())  # else a machine that loses power may keep later rows and lose these
        os.link(log, segment(log, number))
        following.replace(log)
    except OSError:
        os.close(file)
        following.unlink(missing_ok=True)
        mend(log)
        return None
    return file


def compress_segments(log: Path) -> None:
    """Compress what was closed and is plain, as far as the disk has room."""
    number = 1
    while is_closed(log, number):
        plain = segment(log, number)
        if plain.exists():
            try:
                with write_atomically(compressed(plain)) as part, part.open("wb") as target, plain.open("rb") as source:
                    compress(source, target)
                _sync(log.parent)
                plain.unlink()
            except OSError:  # the log is whole without it, and the next segment or run tries again
                return
        number += 1


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def mend(log: Path) -> None:
    """Remove what a crash may have left of closing a segment; for who writes the log."""
    number = 1
    while is_closed(log, number):
        number += 1
    if segment(log, number).exists():  # a second name of the log
        segment(log, number).unlink()
    if (following := log.with_name(log.name + _NEXT)).exists():
        following.unlink()
    for part in log.parent.glob(f"{segment(log, 0).stem[:-6]}*{COMPRESSED}.*{_PART}"):
        part.unlink(missing_ok=True)


class Segments:
    """The files of a log as one that is read from any place; `size` is where it ended when it was looked at."""

    def __init__(self, path: Path) -> None:
        """Take a log, or one that was compressed as a whole when the sweep was over."""
        self._path = path
        self._log = path.with_suffix("") if path.suffix == COMPRESSED else path
        self._begins = [0]  # of each segment, and of what is written
        self._blocks: dict[int, Blocks] = {}
        self.size = 0

    @property
    def begin(self) -> int:
        """The place where what is written begins."""
        return self._begins[-1]

    @property
    def number(self) -> int:
        """The number that it gets when it is closed."""
        return len(self._begins)

    def look(self) -> None:
        """Find what there is now."""
        self._begins, self._blocks = [0], {}
        size = None
        while size is None or is_closed(self._log, self.number):  # perhaps it was closed since
            while is_closed(self._log, self.number):
                self.closed(self.begin + self._size_of(self.number))
            size = sys.maxsize if self._path != self._log else self.begin + self._path.stat().st_size
        self.size = size

    def closed(self, end: int) -> None:
        """Take note that what was written is a segment now, up to this place."""
        self._begins.append(end)

    def parts(self, place: int, end: int) -> Iterator[tuple[Path, Iterator[bytes]]]:
        """Yield the files with the lines that begin at a place or behind it, and before an end."""
        number = bisect.bisect_right(self._begins, place)
        while place < end and number <= self.number:
            stop = min(end, self._begins[number]) if number < self.number else end
            yield self._name(number), self._lines(number, place, stop)
            place, number = stop, number + 1

    def line(self, place: int) -> bytes:
        """Return the line that begins at a place, empty at the end."""
        return next(self._lines(bisect.bisect_right(self._begins, place), place, place + 1), b"")

    def _lines(self, number: int, place: int, end: int) -> Iterator[bytes]:
        try:
            with self._opened(number) as file:
                file.seek(place - self._begins[number - 1])
                while place < end and (line := file.readline()):
                    yield line
                    place += len(line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(self._name(number), error) from error

    def _name(self, number: int) -> Path:
        """Return where a segment is now."""
        plain = segment(self._log, number)
        if number == self.number and not is_closed(self._log, number):
            return self._path
        return plain if plain.exists() else compressed(plain)

    def _opened(self, number: int) -> contextlib.AbstractContextManager[io.BufferedReader]:
        if number == self.number and self._path != self._log:
            return io.BufferedReader(gzip.GzipFile(self._path))
        if number == self.number:
            # Opened first: if it is closed meanwhile, that is seen, and what was closed is read.
            file = self._path.open("rb")
            if not is_closed(self._log, number):
                return file
            file.close()
        plain = segment(self._log, number)
        with contextlib.suppress(FileNotFoundError):
            return plain.open("rb")
        if number not in self._blocks:
            self._blocks[number] = Blocks(compressed(plain))
        return decompressed(compressed(plain), self._blocks[number])

    def _size_of(self, number: int) -> int:
        """Return how many bytes a segment has, decompressed."""
        plain = segment(self._log, number)
        with contextlib.suppress(FileNotFoundError):
            return plain.stat().st_size
        try:
            self._blocks[number] = Blocks(compressed(plain))
        except gzip.BadGzipFile as error:
            raise _damaged(compressed(plain), error) from error
        return self._blocks[number].size


def _damaged(path: Path, error: Exception) -> Refused:
    if "-" not in path.name:  # compressed as a whole, by hand
        return Refused(f"{path}: expected a log that gzip compressed, given {error}; compress it again")
    return Refused(
        f"{path}: expected what regtune compressed, given {error}; put back a copy, or where gzip made it of the plain "
        f"file decompress it by gunzip"
    )
