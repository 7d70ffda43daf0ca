"""A service for a test: a real server in a thread, on a free port of this machine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from regtune.service.answers import answered
from regtune.service.app import service
from regtune.service.runs import Runs
from regtune.service.server import Server
from regtune.service.settings import Settings
from regtune.service.worker import Ask

API = "/api/v1"


def settings(results: Path, **changes: Any) -> Settings:
    given: dict[str, Any] = {"results": results.resolve(), "plugins": {}, "in_process": True}
    return Settings(**(given | changes))


def asked_here(given: Settings) -> Ask:
    """Return what takes torch as done in this process, which has it, and not in one that begins with its import."""
    return lambda question: answered(question, [*given.plugins])


@contextlib.contextmanager
def served(given: Settings, runs: Runs | None = None) -> Iterator[httpx.Client]:
    """Serve for the time of the block; yield a client that asks below `API`."""
    ending = threading.Event()
    app = service(given, asked_here(given), ending, runs)
    config = uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=1)
    opened = config.bind_socket()
    server = Server(config, ending)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    base = f"http://127.0.0.1:{opened.getsockname()[1]}{API}"
    try:
        with httpx.Client(base_url=base, trust_env=False, timeout=120.0) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        opened.close()


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return what a refusal says; every one has the same shape."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "path"}
    found: dict[str, Any] = body["error"]
    return found
