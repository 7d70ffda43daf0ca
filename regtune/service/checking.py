"""Sweep files that were sent, as text: checked as `regtune check` does. They are data; nothing in them is executed.

A file may name plugins, which are code, and results folders to reuse, which are paths: of the first only those may be
named that the operator allowed, of the second only sweeps of the same folder. Where data lie decides the operator;
`path` is below that, see `data.DataLocation.below`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regtune.core.errors import Refused, shown
from regtune.service.problems import Denied
from regtune.service.runs import environment, options
from regtune.service.settings import Settings
from regtune.service.worker import Ask, Read
from regtune.sweep.schema import NAME

MOST_AT_ONCE = 2  # checks that load data and train a step
SECONDS = 300.0  # that such a check may take
UNNAMED = "-"  # which is no name of a sweep


class Checker:
    """Checks sweep files within what the operator allows."""

    def __init__(self, settings: Settings, ask: Ask) -> None:
        self._settings, self._ask = settings, ask
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def read(self, text: str, name: str | None = None, *, starts: bool = False) -> Read:
        """Return the sweep of a text, called `name` if it says none; where it `starts` its log has to be one of it.

        Raises Refused in one line, which begins with the path of a setting if it is about one.
        """
        place, most = str(self._settings.results), self._settings.most_log_bytes
        found = self._ask({"do": "read", "toml": text, "name": name, "results": place, "starts": starts, "most": most})
        return Read(name=found["name"], arms=tuple(found["arms"]), plugins=tuple(found["plugins"]))

    def trained(self, text: str, name: str | None, sweep: Read) -> list[str]:
        """Return what `regtune check` says of a sweep that was read: data are loaded, a step of every arm is trained.

        That is done in a process of its own: what goes wrong in there does not end the service.
        """
        if not self._turns.acquire(blocking=False):
            raise Denied(503, f"check: expected at most {MOST_AT_ONCE} checks at once, given more; try again")
        try:
            with written(text.encode(), name) as file:
                return self._checked(sweep, file)
        finally:
            self._turns.release()

    def _checked(self, sweep: Read, file: Path) -> list[str]:
        words = [sys.executable, "-m", "regtune", "check", str(file), *options(self._settings, sweep.plugins)]
        try:
            ended = subprocess.run(  # noqa: S603 - our own command; no shell
                words,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=SECONDS,
                check=False,
                env=environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise Denied(503, f"check: expected an end within {SECONDS:.0f} s; the sweep was not checked") from error
        if ended.returncode == 0:
            return [line.removeprefix(f"{file}: ") for line in ended.stdout.splitlines()]
        lines = ended.stderr.strip().splitlines()
        said = lines[-1].removeprefix("regtune: ").removeprefix(f"{file}: ") if lines else f"exit {ended.returncode}"
        raise Refused(said if ended.returncode == 2 else f"check: it ended by an error of its own: {said}")


@contextmanager
def written(text: bytes, name: str | None) -> Iterator[Path]:
    """Write a text to a file of its own for the time of the block, called like the sweep; raises Refused."""
    if name is not None and not re.fullmatch(NAME, name):
        raise Refused(f"name: expected letters, digits, . _ and -, at most 100, given {shown(name)}")
    with tempfile.TemporaryDirectory(prefix="regtune-") as folder:
        file = Path(folder) / f"{name or UNNAMED}.toml"
        file.write_bytes(text)
        yield file
