"""The log: `results/<sweep>/log.jsonl`, strict JSON lines, the only truth about a sweep.

A row is written with one system call and is in the kernel's hands before anything acts on it, so a
killed driver loses at most the row that it was writing: a torn last line, which is dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType

from regtune.errors import Refused, shown
from regtune.records import Plain


def read_log(path: Path) -> tuple[list[Plain], int]:
    """Return the rows of a log and the number of bytes of a torn last line (0 for none).

    Raises Refused for a damaged line that is not the last one: that is not how a crash looks.
    """
    raw = path.read_bytes()
    whole, newline, torn = raw.rpartition(b"\n")
    rows = []
    for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
        try:
            row = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise Refused(
                f"{path}:{number}: expected a row of JSON, given {shown(line.decode(errors='replace'))}"
            ) from error
        if not isinstance(row, dict) or not isinstance(row.get("event"), str):
            raise Refused(f"{path}:{number}: expected an event, given {shown(row)}")
        rows.append(row)
    return rows, len(torn)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


class Log:
    """The one writer of a log; a second one on the same file is refused while the first lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
            self.rows, self.torn = read_log(path)
        except Refused:
            os.close(self._file)
            raise
        if self.torn:
            os.ftruncate(self._file, os.fstat(self._file).st_size - self.torn)

    def append(self, event: str, fields: Plain) -> None:
        """Write one row; it is on its way to the disk when this returns."""
        row = {"event": event, "time": round(time.time(), 3), **fields}
        line = json.dumps(row, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written; is the disk full?")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
