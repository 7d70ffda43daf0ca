"""A process of its own for what takes torch: reading sweep files and making the catalogue.

So the service itself stays small, and what goes wrong there does not end it. The process begins when it is first
needed, and ends when nobody has asked for a while, or the service ends, in whatever way: its input is closed then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from regtune.core.records import Json
from regtune.service.problems import Denied
from regtune.service.runs import environment
from regtune.service.settings import Settings

Ask = Callable[[Json], Any]  # what `answers.answered` does, wherever it is done
SECONDS_IDLE = 60.0  # after which it ends


@dataclass(frozen=True, kw_only=True)
class Read:
    """What the service needs to know of a sweep file that was read: its name, its arms and its plugins."""

    name: str
    arms: tuple[str, ...]
    plugins: tuple[str, ...]


class Worker:
    """Asks the process, one question after the other."""

    def __init__(self, settings: Settings, *, seconds_idle: float = SECONDS_IDLE) -> None:
        self._settings, self._idle = settings, seconds_idle
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None

    def ask(self, question: Json) -> Any:
        """Return the answer to a question, see `answers.answered`; raises what it was refused with."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            line = self._answer(json.dumps(question).encode())
            self._timer = threading.Timer(self._idle, self.close)
            self._timer.daemon = True
            self._timer.start()
        answer = json.loads(line)
        if "refused" in answer:
            raise Denied(answer["status"], answer["refused"])
        return answer["answer"]

    def close(self) -> None:
        """End the process; the next question begins another."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._end()

    def _answer(self, question: bytes) -> bytes:
        process = self._begun()
        if process.stdin is None or process.stdout is None:  # for types alone: both are pipes
            raise BrokenPipeError
        try:
            process.stdin.write(question + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            status = self._end()
            raise Denied(503, f"check: the process that reads sweep files ended with exit status {status}; try again")
        return line

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        words = [sys.executable, "-m", "regtune.service.answers", *self._settings.plugins.values()]
        self._process = subprocess.Popen(  # noqa: S603 - our own command; no shell
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # Ctrl-C at the service is not meant for it
        )
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return process.wait()
