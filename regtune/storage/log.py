"""The log: `results/<sweep>/log.jsonl`, strict JSON lines, the only truth about a sweep; a long one is in `segments`.

Every row ends in a checksum over itself and the rows before it, so a row that was changed, lost or
doubled is seen. A row is written with one system call and is in the kernel's hands before anything acts on it, so a
killed driver loses at most what it was writing: what a lane reports at once is written at once, neighbouring epochs
bundled in one row (see `bundles`), and of it a beginning may be there, with a torn last line, which is dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import zlib
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import orjson

from regtune.core.collection import gc_paused
from regtune.core.errors import Refused, shown
from regtune.core.records import Json
from regtune.core.writing import NoRoom, room_for
from regtune.storage.bundles import BUNDLE, EPOCH, Event, bundled, expanded
from regtune.storage.segments import (
    OPENED,
    SEGMENT_BYTES,
    Segments,
    close_segment,
    compress_segments,
    compressed,
    mend,
)

SEAL = b',"crc":"'
_EPOCH = b'{"event":"epoch'  # or several
_REMEMBERED = 256  # rows that were read again


def read_log(path: Path) -> tuple[list[Json], int]:
    """Return the rows of a log and the number of bytes of a torn last line (0 for none).

    Raises Refused for a damaged line that is not the last one: that is not how a crash looks.
    """
    reading = LogFile(path).reading()
    return list(reading), reading.torn


def check_not_compressed(path: Path) -> None:
    """Raise Refused where of a log that is to be written there is a compressed one alone."""
    whole = compressed(path)
    if whole.is_file() and not path.exists():
        raise Refused(
            f"{whole}: expected {path.name}, given a compressed log, of which there are tables only; "
            f"decompress it by gunzip and run the same command again"
        )


def sealed(row: Json, seal: int) -> tuple[bytes, int]:
    """Return the line of a row, closed by a checksum over itself and all rows before it, and that checksum.

    `seal` is the checksum of the row before, 0 for the first.
    """
    body = json.dumps(row, allow_nan=False, separators=(",", ":"))[:-1].encode()
    seal = zlib.crc32(body, seal)
    return body + SEAL + b'%08x"}\n' % seal, seal


class Reading:
    """Goes once through the rows of a log, and holds none of them: a log may be larger than memory.

    `parts` are its files with their lines, from a `place` on behind a row of this `seal`; both are 0 at the beginning.
    After it `size` is up to where it was read in bytes, `torn` the bytes of a torn last line, `seal` the checksum of
    the last row. Raises Refused for a damaged line that is not the last one.
    """

    def __init__(self, parts: Iterable[tuple[Path, Iterable[bytes]]], place: int = 0, seal: int = 0) -> None:
        self._parts, self._begin = parts, place
        self.size, self.torn, self.seal = place, 0, seal

    def __iter__(self) -> Iterator[Json]:
        """Yield the rows, of bundles those that they stand for."""
        for _, row in self.as_written():
            yield from expanded(row)

    def as_written(self) -> Generator[tuple[int, Json], None, None]:
        """Yield the rows as they stand there, bundles too, each with the place where it begins, in bytes."""
        for path, lines in self._parts:
            for number, line in enumerate(lines, start=1):
                place = self.size
                self.size += len(line)
                if self.torn:  # in the middle
                    raise self._damaged(path, number, line)
                if not line.endswith(b"\n"):
                    self.torn = len(line)
                    break
                body, _, end = line.rpartition(SEAL)
                self.seal = zlib.crc32(body, self.seal)
                row = _row(body) if end == b'%08x"}\n' % self.seal else None
                if row is None:
                    raise self._damaged(path, number, line)
                yield place, row

    def _damaged(self, path: Path, number: int, line: bytes) -> Refused:
        given = shown(line[:60].removesuffix(b"\n").decode(errors="replace"))
        # Who began in the middle has counted no lines.
        where = f"{path}: line {number} behind byte {self._begin}" if self._begin else f"{path}:{number}"
        # A first line that is whole goes on with what is not there.
        missing = number == 1 and SEAL in line and not self._begin
        remedy = "put the segments of the log before it beside it, if there were any, or " if missing else ""
        remedy += "to resume from there, "
        return Refused(
            f"{where}: expected a row that regtune wrote, with its checksum, given {given}; "
            f"{remedy}remove it and all lines below"
        )


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


class Hearer(Protocol):
    """Who is told every row of a log while it is read, so that it is read once."""

    def begin(self) -> None:
        """Forget what was told: the log is read from its beginning."""

    def take(self, place: int, row: Json) -> None:
        """Take the next row, as it stands in the log: of several epochs there may be one."""


class Writer(Protocol):
    """What a phase of a sweep needs of a log. Rows are known by their places, which grow."""

    @property
    def path(self) -> Path:
        """Where the log lies."""

    @property
    def rows(self) -> list[Json]:
        """The rows that it held in the beginning, but those of epochs, and without what a trial is."""

    @property
    def places(self) -> Sequence[int]:
        """The places of `rows`."""

    def replay(self, phase: str | None = None) -> Iterable[tuple[int, Json]]:
        """Go once more through the rows that it held in the beginning; of a phase from its first to its last."""

    def read(self, place: int) -> Json:
        """Return the row at a place, as it stands there."""

    def append(self, event: str, fields: Json) -> int:
        """Write one row; return its place."""

    def append_all(self, events: Sequence[Event]) -> list[int]:
        """Write rows at once, neighbouring epochs in one; return the place of each."""


class LogFile:
    """A log that is read. `rows` are those that it held then, but not those of epochs, which may be millions, and
    without what trials are, `trial` of `asked`: whoever needs these hears them while it is read, or reads them again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._segments = Segments(path)
        self._forget()

    def _forget(self) -> None:
        self.rows: list[Json] = []
        self.places = array("q")
        self.newest = 0.0  # the time of the newest row
        self.size, self.torn, self.seal = 0, 0, 0  # as of a `Reading`
        self._stretches: dict[str, tuple[int, int]] = {}  # of a phase the places of its first row and of its last
        self._read: dict[int, Json] = {}

    def reading(self, place: int = 0, seal: int = 0) -> Reading:
        """Return what goes once through all that the log holds, or what it holds behind a row: its end and seal."""
        self._segments.look()
        # Up to here, whatever another writer adds meanwhile.
        return Reading(self._segments.parts(place, self._segments.size), place, seal)

    @property
    def end(self) -> int:
        """The place where it ended when it was looked at."""
        return self._segments.size

    def hear(self, hearer: Hearer | None = None) -> None:
        """Take what the file holds now as the rows so far, and have them heard."""
        self._forget()
        if hearer is not None:
            hearer.begin()
        reading = self.reading()
        with gc_paused():
            for place, row in reading.as_written():
                self._take(place, row)
                if hearer is not None:
                    hearer.take(place, row)
        self.size, self.torn, self.seal = reading.size, reading.torn, reading.seal
        self._held = self.size - self.torn

    def _take(self, place: int, row: Json) -> None:
        """Take note of a row that the file holds."""
        self.newest = max(self.newest, row.get("time", 0.0))
        if row["event"] not in (EPOCH, BUNDLE):
            asked = row["event"] == "asked"
            self.rows.append({name: each for name, each in row.items() if name != "trial"} if asked else row)
            self.places.append(place)
        for phase in [row["cell"][1]] if "cell" in row else {group[1] for group in row.get("cells", ())}:
            self._stretches[phase] = (self._stretches.get(phase, (place, place))[0], place)

    def replay(self, phase: str | None = None) -> Iterator[tuple[int, Json]]:
        """Go once more through the rows that it held then; of a phase, from its first to its last."""
        place, last = (0, self._held - 1) if phase is None else self._stretches.get(phase, (0, -1))
        for _, lines in self._segments.parts(place, last + 1):
            for line in lines:
                yield place, _known(self.path, line)
                place += len(line)

    def read(self, place: int) -> Json:
        """Return the row at a place, as it stands there."""
        found = self._read.pop(place, None)
        if found is None:
            found = _known(self.path, self._segments.line(place))
        self._read[place] = found  # the newest is the last
        if len(self._read) > _REMEMBERED:
            del self._read[next(iter(self._read))]
        return found


def _known(path: Path, line: bytes) -> Json:
    """Return the row of a line that was read before, or that we wrote."""
    row = _row(line.rpartition(SEAL)[0])
    if row is None:
        raise Refused(f"{path}: expected the rows that it had, given others; another regtune has changed it")
    return row


class Log(LogFile):
    """The one writer of a log; a second one on the same machine is refused while the first lives.

    Several threads may append. A writer that finds more in the file than it wrote itself, or another file, has lost
    its place to another one (see `lease`) and writes nothing any more. `hearer` hears its rows whenever they are read.
    The file is closed as a segment when it has `segment_bytes`.
    """

    def __init__(self, path: Path, hearer: Hearer | None = None, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        check_not_compressed(path)
        super().__init__(path)
        self._hearer, self._lock = hearer, threading.Lock()
        self._segment_bytes = self._close_at = segment_bytes  # how long the file is when it is closed
        try:
            with room_for(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, OPENED, 0o644)
        except NoRoom:
            raise
        except OSError as error:
            raise Refused(f"{path}: expected a log that can be written, given {error.strerror or error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(self._file), path.stat()):  # it was closed as a segment meanwhile
                raise BlockingIOError
        except BlockingIOError as error:
            os.close(self._file)
            raise Refused(f"{path}: another regtune is writing this log; wait for it or stop it") from error
        try:
            mend(path)
            self.reread()
        except Refused:
            os.close(self._file)
            raise
        self._compressing = self._compress()

    def reread(self) -> None:
        """Take what the file holds now as the rows so far."""
        self.hear(self._hearer)
        if self.size - self.torn < self._segments.begin:  # the machine, not the writer, must have died
            raise Refused(
                f"{self.path}: expected whole rows in the segments before it, given a line that was cut off at "
                f"the end of the newest; to resume from there, remove that line"
            )

    def append(self, event: str, fields: Json) -> int:
        """Write one row, see `append_all`."""
        return self.append_all([(event, fields)])[0]

    def append_all(self, events: Sequence[Event]) -> list[int]:
        """Write rows with one system call; they are on their way to the disk when this returns.

        Neighbouring epochs come into one row. Returns the place of each. A torn last line is cut off first. Raises
        Refused where another writer has taken over, NoRoom where they do not fit on the disk; then nothing is left of
        them.
        """
        if not events:
            return []
        with self._lock:
            now = round(time.time(), 3)
            lines, places, seal, size = list[bytes](), list[int](), self.seal, self.size - self.torn
            for (event, fields), count in bundled(events):
                line, seal = sealed({"event": event, "time": now, **fields}, seal)
                lines.append(line)
                places += [size] * count
                size += len(line)
            self._append(b"".join(lines))
            self.seal, self.newest = seal, now
            return places

    def _append(self, text: bytes) -> None:
        """Write whole lines, or nothing."""
        begin = self._segments.begin
        if not self._is_mine(self.size - begin):
            raise Refused(f"{self.path}: another regtune has taken this sweep over; this one ends")
        if self.torn:
            os.ftruncate(self._file, self.size - self.torn - begin)
            self.size, self.torn = self.size - self.torn, 0
        if self.size - begin >= self._close_at:
            self._close_segment()
        try:
            with room_for(self.path):
                written = os.write(self._file, text)
                while written < len(text):  # why not all of it was written is said by the next try
                    written += os.write(self._file, text[written:])
        except OSError:
            os.ftruncate(self._file, self.size - self._segments.begin)
            raise
        self.size += written

    def _is_mine(self, size: int) -> bool:
        """Return whether the log is the file that this one writes, and as long."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return found.st_size == size and os.path.samestat(found, os.fstat(self._file))

    def _close_segment(self) -> None:
        """Go on in an empty file, and compress what was written beside that."""
        file = close_segment(self.path, self._segments.number)
        if file is None:
            self._close_at = self.size - self._segments.begin + self._segment_bytes
            return
        os.close(self._file)
        self._file, self._close_at = file, self._segment_bytes
        self._segments.closed(self.size)
        self._compressing.join()  # of the segment before: over long ago
        self._compressing = self._compress()

    def _compress(self) -> threading.Thread:
        compressing = threading.Thread(target=compress_segments, args=(self.path,), daemon=True)
        compressing.start()
        return compressing

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compressing.join()
        os.close(self._file)
