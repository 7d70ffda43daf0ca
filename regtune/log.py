"""The log: `results/<sweep>/log.jsonl`, strict JSON lines, the only truth about a sweep.

Every row ends in a checksum over itself and the rows before it, so a row that was changed, lost or
doubled is seen. A row is written with one system call and is in the kernel's hands before anything acts on it, so a
killed driver loses at most the row that it was writing: a torn last line, which is dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Protocol

from regtune.errors import Refused, shown
from regtune.records import Plain

SEAL = b',"crc":"'


def read_log(path: Path) -> tuple[list[Plain], int]:
    """Return the rows of a log and the number of bytes of a torn last line (0 for none).

    Raises Refused for a damaged line that is not the last one: that is not how a crash looks.
    """
    rows, torn, _ = _parsed(path, path.read_bytes())
    return rows, torn


def sealed(row: Plain, seal: int) -> tuple[bytes, int]:
    """Return the line of a row, closed by a checksum over itself and all rows before it, and that checksum.

    `seal` is the checksum of the row before, 0 for the first.
    """
    body = json.dumps(row, allow_nan=False, separators=(",", ":"))[:-1].encode()
    seal = zlib.crc32(body, seal)
    return body + SEAL + b'%08x"}\n' % seal, seal


def _parsed(path: Path, content: bytes) -> tuple[list[Plain], int, int]:
    """Return rows, bytes of a torn last line, and the checksum of the last row."""
    whole, newline, torn = content.rpartition(b"\n")
    rows, seal = [], 0
    for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
        body, _, end = line.rpartition(SEAL)
        seal = zlib.crc32(body, seal)
        row = _row(body) if end == b'%08x"}' % seal else None
        if row is None:
            raise Refused(
                f"{path}:{number}: expected a row that regtune wrote, with its checksum, given "
                f"{shown(line[:60].decode(errors='replace'))}; to go on from there, move it and all below away"
            )
        rows.append(row)
    return rows, len(torn), seal


def _row(body: bytes) -> Plain | None:
    """Return the row of a line without its seal, None for what is not exactly one row.

    The checksum goes through all rows as if they were one: it does not see where one ends and the next begins.
    """
    try:
        row: Plain = json.loads(body + b"}")
    except ValueError:
        return None
    return row


class Writer(Protocol):
    """What a phase of a sweep needs of a log."""

    @property
    def path(self) -> Path:
        """Where the log lies."""

    @property
    def rows(self) -> list[Plain]:
        """The rows that it held in the beginning."""

    def append(self, event: str, fields: Plain) -> None:
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
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
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
        content = self.path.read_bytes()
        self.rows, self.torn, self._seal = _parsed(self.path, content)
        self._size = len(content)  # and not what the file has by now: another writer's rows are no rows of ours
        self.newest = max((row["time"] for row in self.rows if "time" in row), default=0.0)

    def append(self, event: str, fields: Plain) -> None:
        """Write one row; it is on its way to the disk when this returns.

        A torn last line is cut off first. Raises Refused where another writer has taken over, OSError
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
            written = os.write(self._file, line)
            if written != len(line):
                os.ftruncate(self._file, self._size)
                raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written; is the disk full?")
            self._size, self._seal, self.newest = self._size + written, seal, now

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
