"""The streams of events that are open at once: so many at most, since each takes memory and looks at a log."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from regtune.service.problems import Denied


class Streams:
    """Counts the streams that are open. All of that happens in the thread of the event loop, so it needs no lock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0


class Counted(StreamingResponse):
    """A stream that is open from the time when it is sent until it has ended, or its client has gone.

    It counts itself around the sending: what yields its events never begins where the client has gone before.
    """

    def __init__(self, streams: Streams, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; raises Denied, before anything is sent, where too many are open."""
        if self._streams.open >= self._streams.most:
            raise Denied(
                503,
                f"events: expected at most {self._streams.most} streams at once, given more; try again, or "
                f"regtune serve --max-streams raises this limit",
            )
        self._streams.open += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.open -= 1
