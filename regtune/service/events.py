"""Server-sent events: the rows of a log, those that are there and those that come, or how a sweep stands by and by.

The id of an event says where its row ends and the checksum up to there. Who sends it as Last-Event-ID gets the rows
behind it, from any service of the folder; an id of another log is seen, as damage is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.results.standing import file_state
from regtune.service.looks import Looks, tick
from regtune.service.problems import UNAVAILABLE, Denied, problem, status_of
from regtune.service.settings import MIB
from regtune.service.sweeps import event_id
from regtune.storage.log import LogFile

ID = re.compile(r"([0-9]{1,18})-([0-9a-f]{8})")
BATCH = 500  # rows that are read at once
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_STATUSES = 1.0
MOST_BYTES = 32 * MIB  # of pieces that are kept, of all logs
SECONDS_OF_SILENCE = 15.0  # after which a comment shows that the connection lives
COMMENT = ":\n\n"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of a log that were read at once, as events; behind the last of them is this place, with this checksum."""

    text: str
    rows: int
    place: int
    seal: int
    read: float  # when, in seconds of `time.monotonic`

    @property
    def is_newest(self) -> bool:
        """Return whether the log had no more when it was looked at, not long ago."""
        return self.rows < BATCH and time.monotonic() < self.read + SECONDS_BETWEEN_LOOKS


class Pieces:
    """The pieces that were read last, for all clients: those who follow one log are mostly at the same place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Piece] = OrderedDict()
        self._bytes = 0

    def read(self, path: Path, place: int, seal: int) -> Piece:
        """Return rows behind a place of a log; raises Refused for a log that is damaged or another one."""
        key = path, path.stat().st_ino, place, seal
        with self._lock:  # who waits here for another client finds its piece
            if key not in self._kept:
                piece = _read(path, place, seal)
                if not piece.rows:
                    return piece
                self._kept[key] = piece
                self._bytes += len(piece.text)
                while self._bytes > MOST_BYTES and len(self._kept) > 1:
                    _, oldest = self._kept.popitem(last=False)
                    self._bytes -= len(oldest.text)
            return self._kept[key]


def _read(path: Path, place: int, seal: int) -> Piece:
    now, log, text = time.monotonic(), LogFile(path), list[str]()
    reading = log.reading(place, seal)
    if log.end < place:
        raise Denied(409, "Last-Event-ID: expected an event of this log, given one of another; begin anew")
    try:
        with contextlib.closing(reading.as_written()) as written:
            for _, row in itertools.islice(written, BATCH):
                place, seal = reading.size, reading.seal
                text.append(_event(event_id(place, seal), row))
    except Refused:
        if not text:
            raise  # else what is damaged is said next time
    return Piece(text="".join(text), rows=len(text), place=place, seal=seal, read=now)


def _event(name: str, row: Json) -> str:
    return f"id: {name}\nevent: {row.get('event')}\ndata: {json.dumps(row, allow_nan=False)}\n\n"


class Position:
    """How far a client has read a log."""

    def __init__(self, pieces: Pieces, path: Path, newest: str | None) -> None:
        """Begin behind an event, given by its id; None begins at the beginning. Raises Denied for what is no id."""
        found = ID.fullmatch(newest or event_id(0, 0))
        if found is None:
            raise Denied(422, "Last-Event-ID: expected the id of an event of this sweep")
        self._pieces, self.path, self._place, self._seal = pieces, path, int(found[1]), int(found[2], 16)
        self._seen: object = None

    @property
    def place(self) -> tuple[Path, int, int]:
        """Return what clients have in common who wait for the same rows."""
        return self.path, self._place, self._seal

    def more(self) -> tuple[object, Piece | None]:
        """Return what the log is now, and the next rows; raises Refused for a log that is damaged or another one."""
        try:
            seen = file_state(self.path)
            return seen, None if seen == self._seen else self._pieces.read(self.path, self._place, self._seal)
        except FileNotFoundError:
            return None, None

    def go_on(self, seen: object, piece: Piece | None) -> Piece | None:
        """Go behind what `more` found; return it where there are rows in it."""
        if piece is None:
            return None
        self._place, self._seal = piece.place, piece.seal
        if not piece.rows:
            self._seen = seen
            return None
        return piece


async def events(position: Position, looks: Looks, ending: threading.Event) -> AsyncIterator[str]:
    """Yield the events behind a position, until the client goes or the service is ending."""
    silence = Silence()
    while not ending.is_set():
        try:
            found = await looks.at(position.place, position.more, silence.left)
        except Refused as error:
            yield _problem(error)
            return
        if found is None:
            yield silence.broken_by(COMMENT)
            continue
        piece = position.go_on(*found)
        if piece is not None:  # in one piece: each takes its time on the way
            yield silence.broken_by(piece.text)
        elif silence.is_long:
            yield silence.broken_by(COMMENT)
        if piece is None or piece.is_newest:  # else a log that grows all the time would be looked at all the time
            await tick(SECONDS_BETWEEN_LOOKS)


async def statuses(
    sweep: tuple[str, int | None], status: Callable[[], str], looks: Looks, ending: threading.Event
) -> AsyncIterator[str]:
    """Yield how a sweep stands, as JSON, now and whenever that has changed, at most once a second.

    Where a cluster does not say how it stands the stream ends: who asks again is told why.
    """
    silence, before = Silence(), ""
    while not ending.is_set():
        try:
            found = await looks.at(sweep, status, silence.left)
        except Refused as error:
            if status_of(error) != UNAVAILABLE:
                yield _problem(error)
            return
        if found is None:
            yield silence.broken_by(COMMENT)
            continue
        if found != before:
            yield silence.broken_by(f"event: status\ndata: {found}\n\n")
        elif silence.is_long:
            yield silence.broken_by(COMMENT)
        before = found
        await tick(SECONDS_BETWEEN_STATUSES)


class Silence:
    """How long a client has heard nothing; it cannot tell that from a connection that broke."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    @property
    def left(self) -> float:
        """Return in how many seconds it is time for a comment."""
        return max(0.0, self._since + SECONDS_OF_SILENCE - time.monotonic())

    @property
    def is_long(self) -> bool:
        """Return whether it is time for a comment."""
        return self.left == 0.0

    def broken_by(self, text: str) -> str:
        """Return what is sent now."""
        self._since = time.monotonic()
        return text


def _problem(error: Refused) -> str:
    return f"event: problem\ndata: {problem(error).model_dump_json()}\n\n"
