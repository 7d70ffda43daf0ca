"""A Ray job server for a test: it keeps what it is told, in a thread, and runs nothing."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import ray


class JobServer:
    """The jobs by id, as Ray's API shows them; a test changes their status and logs.

    `refuses` is said to all but who asks for the version.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, str] = {}
        self.version = ray.__version__
        self.refuses: str | None = None
        self.asked: list[str] = []
        self.address = ""

    def answer(self, method: str, path: str, sent: bytes) -> tuple[int, Any]:  # noqa: PLR0911 - one for each route
        self.asked.append(f"{method} {path}")
        if self.refuses is not None and path != "/api/version":
            return 500, self.refuses
        words = path.strip("/").split("/")[1:]
        match method, *words:
            case "GET", "version":
                return 200, {"version": "4", "ray_version": self.version, "ray_commit": "", "session_name": ""}
            case "GET", "packages", *_:
                return 200, {}
            case "GET", "jobs":
                return 200, list(self.jobs.values())
            case "POST", "jobs":
                asked = json.loads(sent)
                name = asked["submission_id"]
                if name in self.jobs:
                    return 400, f"Job with submission_id {name} already exists"
                self.jobs[name] = asked | {"type": "SUBMISSION", "status": "PENDING", "start_time": time.time_ns()}
                return 200, {"job_id": name, "submission_id": name}
            case "POST", "jobs", name, "stop":
                self.jobs[name]["status"] = "STOPPED"
                return 200, {"stopped": True}
            case "DELETE", "jobs", name:
                del self.jobs[name]
                return 200, {"deleted": True}
            case "GET", "jobs", name, "logs":
                return 200, {"logs": self.logs.get(name, "")}
        return 404, "not here"


@contextlib.contextmanager
def job_server() -> Iterator[JobServer]:
    """Serve for the time of the block."""
    state = JobServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, body = state.answer(self.command, self.path, sent)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - their names are those of the library

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
