"""The command line called in this process: what a command prints and its exit code, without seconds of imports."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from regtune.__main__ import main


class Terminal(io.TextIOWrapper):
    """Standard output as a process has it: it encodes strictly; somebody may sit at it."""

    def __init__(self, encoding: str, *, watched: bool) -> None:
        self.written, self.watched = io.BytesIO(), watched
        super().__init__(self.written, encoding=encoding, errors="strict", newline="")

    def isatty(self) -> bool:
        return self.watched

    def getvalue(self) -> str:
        self.flush()
        return self.written.getvalue().decode(self.encoding)


def called(
    *words: object, folder: Path, encoding: str = "utf-8", watched: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Return how `regtune WORDS` ended in a folder, 80 columns wide; a process of its own would say the same.

    It starts as a process does: with a Python path, plugins and a way to show warnings that no earlier call changed.
    `encoding` is that of its standard output, and of a terminal where it is `watched`.
    """
    out, err, modules = Terminal(encoding, watched=watched), io.StringIO(), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        patch.chdir(folder)
        patch.delenv("REGTUNE_DATA", raising=False)
        for name, value in ({"COLUMNS": "80"} | variables).items():
            patch.setenv(name, value)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", ["regtune", *map(str, words)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}{os.sep}"):
            del sys.modules[name]
    code = end.value.code
    return subprocess.CompletedProcess(["regtune", *map(str, words)], int(code or 0), out.getvalue(), err.getvalue())
