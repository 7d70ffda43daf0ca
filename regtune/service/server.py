"""The server: uvicorn, which ends the streams when it is about to stop; else it would wait, then break them."""

from __future__ import annotations

import gc
import socket
import sys
import threading

import uvicorn

SECONDS_OF_A_TURN = 0.0005


class Server(uvicorn.Server):
    """A server that sets an event before it waits for the requests that it still has.

    Threads take turns often: a request goes through some, and each would wait for one that makes a figure. What was
    imported stays, so that collections of garbage, which statsmodels asks for, need not look at it.
    """

    def __init__(self, config: uvicorn.Config, ending: threading.Event) -> None:
        super().__init__(config)
        self._ending = ending
        sys.setswitchinterval(SECONDS_OF_A_TURN)
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then what is left."""
        self._ending.set()
        await super().shutdown(sockets)
