"""What a sweep needs on another machine: regtune, its plugins and what they pull in, its files, in one folder."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regtune.core.errors import Refused, shown
from regtune.core.sources import shipped_paths
from regtune.core.version import PACKAGE
from regtune.sweep.layers import files_of
from regtune.sweep.sweep import Sweep

LEFT_OUT = ("__pycache__", ".git", ".gitignore")  # by a .gitignore Ray would leave out what a user generates
OURS_LEFT_OUT = (*LEFT_OUT, "sweeps", "templates")  # those that ship are for `regtune init`


@contextlib.contextmanager
def packaged(sweep: Sweep, file: Path) -> Iterator[Path]:
    """Fill a folder for the time of the block: `python -m regtune run FILE` works in it."""
    with tempfile.TemporaryDirectory(prefix="regtune-") as scratch:
        folder = Path(scratch)
        shutil.copytree(PACKAGE, folder / "regtune", ignore=shutil.ignore_patterns(*OURS_LEFT_OUT))
        for source in shipped_paths(sweep.arms[0].template.plugins):
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns(*LEFT_OUT))
            else:
                shutil.copyfile(source, folder / source.name)
        for source in files_of(file):
            target = folder / source.relative_to(file.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        yield folder


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How a sweep is run on the head node: its folders there, and options of `regtune run`.

    `read_at` is where its file lies there, if it does: else the one that comes along is read.
    """

    results: str
    data: str | None = None
    download: bool = False
    retry_failed: bool = False
    reuse: Sequence[str] = ()
    lane_width: int | Literal["auto"] | None = None
    read_at: str | None = None


def entrypoint(sweep: Sweep, file: Path, options: JobOptions) -> str:
    """Return the shell command that runs a packed sweep on the head node."""
    words = ["python", "-m", "regtune", "run", options.read_at or f"./{file.name}", "--address", "auto"]
    for name in sweep.arms[0].template.plugins:
        words += ["--plugin", name]
    line = f"{shlex.join(words)} --results {_quoted(options.results)}"
    if options.data is not None:
        line += f" --data {_quoted(options.data)}"
    if options.lane_width is not None:
        line += f" --lane-width {options.lane_width}"
    line += "".join(f" --reuse {_quoted(folder)}" for folder in options.reuse)
    return line + (" --download" if options.download else "") + (" --retry-failed" if options.retry_failed else "")


def check_folder(option: str, folder: str) -> None:
    """Raise Refused for a folder that would lie in the job's own, which the cluster throws away."""
    if not folder.startswith(("/", "~/")):
        raise Refused(
            f"{option}: expected a folder on the cluster that begins with / or ~/ (the head node's home), "
            f"given {shown(folder)}"
        )


def _quoted(folder: str) -> str:
    """Quote for the shell, which still has to put the home folder in the place of a tilde."""
    return f"~/{shlex.quote(folder[2:])}" if folder.startswith("~/") and folder[2:] else shlex.quote(folder)
