"""Runs of sweeps on this machine: processes of their own, `python -m regtune run`, that outlive the service.

A run holds a lock on `run.lock` in the folder of its sweep as long as it lives: it inherits the open file. So whether
one runs is known after a restart of the service too, to several services, and without trusting a process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from regtune.core.writing import write
from regtune.service.problems import Denied
from regtune.service.settings import TOKEN_VARIABLE, Settings

OUTPUT, LOCK = "run.log", "run.lock"  # in the folder of a sweep
TRIES, PAUSE = 20, 0.05  # to take a lock that others hold for a moment, to look


class Runs(Protocol):
    """What starts and stops sweeps. Folders are those of sweeps, with the sweep file in them."""

    def start(self, folder: Path, text: bytes, plugins: Sequence[str]) -> None:
        """Write the sweep file and have it run, with the plugins that it names; raises Denied where it does already."""

    def stop(self, folder: Path) -> bool:
        """Ask a run to end; return whether there was one."""

    def is_up(self, folder: Path) -> bool:
        """Return whether a run that was started here has not ended."""

    def output(self, folder: Path, most: int) -> str:
        """Return the last so many bytes that runs of a sweep have printed."""


def file_of(folder: Path) -> Path:
    """Return where the sweep file of a sweep lies, called like it: a file that says no name is named by it."""
    return folder / f"{folder.name}.toml"


def options(settings: Settings, plugins: Sequence[str]) -> list[str]:
    """Return the options of a command on a sweep: where data lie, and the plugins that it names."""
    words = ["--data", str(settings.data)] if settings.data is not None else []
    words += ["--download"] if settings.download else []
    for name in plugins:
        words += ["--plugin", settings.plugins[name]]
    return words


def environment() -> dict[str, str]:
    """Return the environment of a process that the service starts: it has no use for the token."""
    return {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}


class Processes:
    """Runs as processes of this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start(self, folder: Path, text: bytes, plugins: Sequence[str]) -> None:
        """Write the sweep file and start a process that runs it; raises Denied where one does already."""
        with _locked(folder) as lock:
            lock.truncate(0)  # before anything else: the process of an earlier run is not to be taken for this one
            write(file_of(folder), text)
            with (folder / OUTPUT).open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - our own command; no shell
                    self._command(folder, plugins),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    pass_fds=[lock.fileno()],
                    start_new_session=True,  # Ctrl-C at the service is not meant for it
                )
            lock.write(f"{process.pid}\n".encode())
            lock.flush()
        threading.Thread(target=process.wait, daemon=True).start()  # else its entry would stay until the service ends

    def _command(self, folder: Path, plugins: Sequence[str]) -> list[str]:
        settings = self._settings
        words = [sys.executable, "-m", "regtune", "run", str(file_of(folder)), "--results", str(settings.results)]
        words += ["--in-process"] if settings.in_process else []
        return [*words, *options(settings, plugins)]

    def stop(self, folder: Path) -> bool:
        """Send SIGTERM, at which a run ends in an orderly way; return whether there was one."""
        pid = self._pid(folder)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return True

    def is_up(self, folder: Path) -> bool:
        """Return whether the process of a run lives."""
        return is_locked(folder / LOCK)

    def output(self, folder: Path, most: int) -> str:
        """Return the last so many bytes that runs of a sweep have printed."""
        try:
            with (folder / OUTPUT).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most))
                return file.read(most).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _pid(self, folder: Path) -> int | None:
        for _ in range(TRIES):
            text = _held(folder / LOCK)
            if text is None or text.strip().isdigit():
                return int(text) if text else None
            time.sleep(PAUSE)  # it is being started
        return None


def _held(lock: Path) -> str | None:
    """Return what stands in a lock, None where nobody holds it."""
    return lock.read_text(encoding="ascii", errors="replace") if is_locked(lock) else None


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        pass  # none, or none of ours
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[BinaryIO]:
    """Hold the lock of a sweep for the time of the block; a process that inherits the file goes on holding it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+b") as lock:
        for _ in range(TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(PAUSE)
        else:
            raise Denied(409, f"{folder.name}: expected a sweep that does not run, this one does; stop it first")
        yield lock
