"""The server: uvicorn, which ends the streams when it is about to stop; else it would wait, then break them."""

from __future__ import annotations

import socket
import threading

import uvicorn


class Server(uvicorn.Server):
    """A server that sets an event before it waits for the requests that it still has."""

    def __init__(self, config: uvicorn.Config, ending: threading.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then what is left."""
        self._ending.set()
        await super().shutdown(sockets)
