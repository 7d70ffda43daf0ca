"""The rows of a log as server-sent events: those that are there, then those that come.

The id of an event says where its row ends and the checksum up to there. Who sends it as Last-Event-ID gets the rows
behind it, from any service of the folder; an id of another log is seen, as damage is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.results.standing import file_state
from regtune.service.problems import Denied, problem
from regtune.service.sweeps import event_id
from regtune.storage.log import LogFile

ID = re.compile(r"([0-9]{1,18})-([0-9a-f]{8})")
BATCH = 500  # rows that are read at once
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_OF_SILENCE = 15.0  # after which a comment shows that the connection lives


class Position:
    """How far a client has read a log."""

    def __init__(self, path: Path, newest: str | None) -> None:
        """Begin behind an event, given by its id; None begins at the beginning. Raises Denied for what is no id."""
        found = ID.fullmatch(newest or event_id(0, 0))
        if found is None:
            raise Denied(422, "Last-Event-ID: expected the id of an event of this sweep")
        self._path, self._place, self._seal = path, int(found[1]), int(found[2], 16)
        self._seen: object = None

    def more(self) -> list[tuple[str, Json]]:
        """Return the next rows, each with its id; raises Refused for a log that is damaged or another one."""
        with contextlib.suppress(FileNotFoundError):
            seen = file_state(self._path)
            if seen == self._seen:
                return []
            log = LogFile(self._path)
            reading = log.reading(self._place, self._seal)
            if log.end < self._place:
                raise Denied(409, "Last-Event-ID: expected an event of this log, given one of another; begin anew")
            rows: list[tuple[str, Json]] = []
            try:
                with contextlib.closing(reading.as_written()) as written:
                    for _, row in itertools.islice(written, BATCH):
                        self._place, self._seal = reading.size, reading.seal
                        rows.append((event_id(self._place, self._seal), row))
            except Refused:
                if not rows:
                    raise
                return rows  # what is damaged is said next time
            if len(rows) < BATCH:
                self._seen = seen
            return rows
        return []


async def events(position: Position, ending: threading.Event) -> AsyncIterator[str]:
    """Yield the events behind a position, until the client goes or the service is ending."""
    silent = 0.0
    while not ending.is_set():
        try:
            rows = await run_sync(position.more)
        except Refused as error:
            yield f"event: problem\ndata: {problem(error).model_dump_json()}\n\n"
            return
        if rows:  # in one piece: each takes its time on the way
            yield "".join(map(_event, rows))
        silent = 0.0 if rows else silent + SECONDS_BETWEEN_LOOKS
        if silent >= SECONDS_OF_SILENCE:
            yield ":\n\n"
            silent = 0.0
        if len(rows) < BATCH:  # else a log that grows all the time would be looked at all the time
            await anyio.sleep(SECONDS_BETWEEN_LOOKS)


def _event(named: tuple[str, Json]) -> str:
    name, row = named
    return f"id: {name}\nevent: {row.get('event')}\ndata: {json.dumps(row, allow_nan=False)}\n\n"
