"""Submit, stop and resume: what changes something. All of it ends in a run that a shell could have started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.file_names import as_text
from regtune.results.standing import Holder
from regtune.service.checking import Checker
from regtune.service.problems import Denied
from regtune.service.runs import Runs, file_of, is_locked
from regtune.service.sweeps import Sweeps
from regtune.service.worker import Read
from regtune.storage import lease
from regtune.storage.layout import LOG, repeats_of


class Control:
    """Starts and stops the sweeps of a folder."""

    def __init__(self, sweeps: Sweeps, runs: Runs, checker: Checker) -> None:
        self._sweeps, self._runs, self._checker = sweeps, runs, checker

    def check(self, text: str, name: str | None, *, full: bool) -> tuple[Read, list[str]]:
        """Return the sweep of a text, called `name` if it says none, and what is to be said of it; raises Refused."""
        return self._checked(text, name, full=full, starts=False)

    def _checked(self, text: str, name: str | None, *, full: bool, starts: bool) -> tuple[Read, list[str]]:
        sweep = self._checker.read(text, name, starts=starts)
        return sweep, self._checker.trained(text, name, sweep) if full else []

    def submit(self, text: str, name: str | None, *, full: bool) -> tuple[Read, list[str], bool]:
        """Start the sweep of a text; also return whether that was needed. Raises Denied where it cannot be started."""
        sweep, notes = self._checked(text, name, full=full, starts=True)
        folder = self._sweeps.path(sweep.name)
        content = text.encode()
        if self._runs_now(folder):
            if self._file(folder) == content:
                return sweep, notes, False
            raise Denied(
                409, f"{sweep.name}: this sweep runs with another sweep file; stop it first, or take another name"
            )
        self._runs.start(folder, content, sweep.plugins)
        return sweep, notes, True

    def resume(self, name: str) -> None:
        """Start a sweep again from its file; raises Denied where it runs, or its file is not known."""
        folder = self._sweeps.folder(name)
        content = self._known_file(folder)
        if self._runs_now(folder):
            raise Denied(409, f"{name}: this sweep runs already")
        sweep = self._checker.read(content.decode(), name, starts=True)
        self._runs.start(folder, content, sweep.plugins)

    def stop(self, name: str) -> None:
        """Have a sweep end as by Ctrl-C; raises Denied where it does not run, or runs on another machine."""
        folder = self._sweeps.folder(name)
        if self._runs.stop(folder):
            return
        holder = self._holder(folder)
        if holder is None:
            raise Denied(409, f"{name}: this sweep does not run")
        if holder.host != lease.here() or not any(is_locked(each / LOG) for each in repeats_of(folder)):
            host = holder.host.split()[0]
            raise Denied(409, f"{name}: runs on {host} (process {holder.pid}), not started here; stop it there")
        if holder.pid <= 1:  # of a damaged row: such numbers mean other processes, or all
            raise Denied(409, f"{name}: its log names no process that could be stopped")
        os.kill(holder.pid, signal.SIGTERM)

    def file(self, name: str) -> str:
        """Return the sweep file of a sweep."""
        return self._known_file(self._sweeps.folder(name)).decode("utf-8", "replace")

    def output(self, name: str, most: int) -> str:
        """Return the last so many bytes that runs of a sweep have printed."""
        return self._runs.output(self._sweeps.folder(name), most)

    def _runs_now(self, folder: Path) -> bool:
        return self._runs.is_up(folder) or self._holder(folder) is not None

    def _holder(self, folder: Path) -> Holder | None:
        """Return who runs a sweep, as its newest log says; None for one that cannot be read."""
        try:
            return self._sweeps.standing(repeats_of(folder)[-1]).holder
        except Refused:
            return None

    def _known_file(self, folder: Path) -> bytes:
        content = self._file(folder)
        if content is None:
            name = as_text(folder.name)
            raise Denied(409, f"{name}: its sweep file is not known here; submit it, and it goes on from its log")
        return content

    def _file(self, folder: Path) -> bytes | None:
        try:
            return file_of(folder).read_bytes()
        except FileNotFoundError:
            return None
