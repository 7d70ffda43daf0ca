"""The log: `results/<sweep>/log.jsonl`, strict JSON lines, the only truth about a sweep.

Every row ends in a checksum over itself and the rows before it, so a row that was changed, lost or
doubled is seen. A row is written with one system call and is in the kernel's hands before anything acts on it, so a
killed driver loses at most the row that it was writing: a torn last line, which is dropped.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import orjson

from regtune.core.errors import Refused, shown
from regtune.core.records import Json
from regtune.core.writing import NoRoom, room_for

SEAL = b',"crc":"'
_EPOCH = b'{"event":"epoch",'


def read_log(path: Path) -> tuple[list[Json], int]:
    """Return the rows of a log and the number of bytes of a torn last line (0 for none).

    Raises Refused for a damaged line that is not the last one: that is not how a crash looks.
    """
    with path.open("rb") as file:
        reading = Reading(path, file)
        return list(reading), reading.torn


def sealed(row: Json, seal: int) -> tuple[bytes, int]:
    """Return the line of a row, closed by a checksum over itself and all rows before it, and that checksum.

    `seal` is the checksum of the row before, 0 for the first.
    """
    body = json.dumps(row, allow_nan=False, separators=(",", ":"))[:-1].encode()
    seal = zlib.crc32(body, seal)
    return body + SEAL + b'%08x"}\n' % seal, seal


class Reading:
    """Goes once through the rows of a log, and holds none of them: a log may be larger than memory.

    After it `size` is what was read in bytes, `torn` the bytes of a torn last line, `seal` the checksum of the
    last row. Raises Refused for a damaged line that is not the last one.
    """

    def __init__(self, path: Path, lines: Iterable[bytes]) -> None:
        self._path, self._lines = path, lines
        self.size, self.torn, self.seal = 0, 0, 0

    def __iter__(self) -> Iterator[Json]:
        for number, line in enumerate(self._lines, start=1):
            self.size += len(line)
            if not line.endswith(b"\n"):
                self.torn = len(line)
                return
            body, _, end = line.rpartition(SEAL)
            self.seal = zlib.crc32(body, self.seal)
            row = _row(body) if end == b'%08x"}\n' % self.seal else None
            if row is None:
                given = shown(line[:60].removesuffix(b"\n").decode(errors="replace"))
                raise Refused(
                    f"{self._path}:{number}: expected a row that regtune wrote, with its checksum, given {given}; "
                    f"to resume from there, remove it and all lines below"
                )
            yield row


def _row(body: bytes) -> Json | None:
    """Return the row of a line without its seal, None for what is not exactly one row.

    The checksum goes through all rows as if they were one: it does not see where one ends and the next begins.
    """
    # Nearly all rows are epochs, and orjson reads those as json does, bit for bit; it would make floats of huge
    # integers and refuse half a surrogate pair, which elsewhere may come from a user.
    read = orjson.loads if body.startswith(_EPOCH) else json.loads
    try:
        row: Json = read(body + b"}")
    except ValueError:
        return None
    return row


class Writer(Protocol):
    """What a phase of a sweep needs of a log."""

    @property
    def path(self) -> Path:
        """Where the log lies."""

    @property
    def rows(self) -> list[Json]:
        """The rows that it held in the beginning."""

    def append(self, event: str, fields: Json) -> None:
        """Write one row."""


class Log:
    """The one writer of a log; a second one on the same machine is refused while the first lives.

    Several threads may append. A writer that finds more in the file than it wrote itself has lost its
    place to another one (see `lease`) and writes nothing any more.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            with room_for(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except NoRoom:
            raise
        except OSError as error:
            raise Refused(f"{path}: expected a log that can be written, given {error.strerror or error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise Refused(f"{path}: another regtune is writing this log; wait for it or stop it") from error
        try:
            self.reread()
        except Refused:
            os.close(self._file)
            raise

    def reread(self) -> None:
        """Take what the file holds now as the rows so far."""
        reading = Reading(self.path, io.BytesIO(self.path.read_bytes()))
        self.rows = list(reading)
        # The size read, and not what the file has by now: another writer's rows are no rows of ours.
        self.torn, self._seal, self._size = reading.torn, reading.seal, reading.size
        self.newest = max((row["time"] for row in self.rows if "time" in row), default=0.0)

    def append(self, event: str, fields: Json) -> None:
        """Write one row; it is on its way to the disk when this returns.

        A torn last line is cut off first. Raises Refused where another writer has taken over, NoRoom
        where the row does not fit on the disk; then nothing of it is left.
        """
        with self._lock:
            now = round(time.time(), 3)
            line, seal = sealed({"event": event, "time": now, **fields}, self._seal)
            if os.fstat(self._file).st_size != self._size:
                raise Refused(f"{self.path}: another regtune has taken this sweep over; this one ends")
            if self.torn:
                os.ftruncate(self._file, self._size - self.torn)
                self._size, self.torn = self._size - self.torn, 0
            try:
                with room_for(self.path):
                    written = os.write(self._file, line)
                    while written < len(line):  # why not all of it was written is said by the next try
                        written += os.write(self._file, line[written:])
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
            self._size, self._seal, self.newest = self._size + written, seal, now

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
