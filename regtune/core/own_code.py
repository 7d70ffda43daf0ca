"""Which code is the user's own: neither regtune's, nor Python's, nor what is installed."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

from regtune.core.errors import Refused
from regtune.core.signals import Interrupted, sigint_marked
from regtune.core.version import PACKAGE

INSTALLED = ("site-packages", "dist-packages")
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
MOST_FRAMES = 12  # of a traceback that is written down


@cache
def is_own(file: str | Path) -> bool:
    """Return whether a source file is the user's."""
    path = Path(file)
    if str(file).startswith("<") or PACKAGE in path.resolve().parents or any(part in INSTALLED for part in path.parts):
        return False
    return not any(folder in path.parents for folder in LIBRARIES)


def place_of(error: BaseException) -> str:
    """Return file:line of the last frame of an error that is the user's; empty where none is.

    What an error was raised from counts where the error itself was raised elsewhere.
    """
    seen: BaseException | None = error
    known: set[int] = set()
    while seen is not None and id(seen) not in known:
        known.add(id(seen))
        own = [(frame, line) for frame, line in _frames(seen.__traceback__) if is_own(frame.f_code.co_filename)]
        if own:
            frame, line = own[-1]
            return f"{_short(frame.f_code.co_filename)}:{line}"
        seen = seen.__cause__ or seen.__context__
    return ""


def frames_of(error: BaseException) -> str:
    """Return the traceback of an error from the first frame that is the user's on, a line each frame.

    Of a long one the end, and where no frame is the user's the end too; empty where there is none at all.
    """
    found = traceback.extract_tb(error.__traceback__)
    first = next((n for n, frame in enumerate(found) if is_own(frame.filename)), 0)
    lines = (f"{_short(f.filename)}:{f.lineno}, in {f.name}: {f.line or ''}".rstrip(": ") for f in found[first:])
    return "\n".join([*lines][-MOST_FRAMES:])


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    yield from traceback.walk_tb(trace)


def _short(file: str) -> str:
    """Return a file below the folder from which it is imported: the same on a driver and its workers."""
    path = Path(file)
    roots = [root for entry in sys.path if (root := Path(entry).absolute()) in path.parents]
    return str(path.relative_to(max(roots, key=lambda root: len(root.parts)))) if roots else path.name


@contextmanager
def own_errors(where: str) -> Iterator[None]:
    """Raise Refused for what the user's code raises in the block, KeyboardInterrupt and SystemExit included.

    What is refused already, Ctrl-C, a lack of memory, and faults of regtune, with no frame of the user's, pass through.
    """
    try:
        with sigint_marked():
            yield
    except (Refused, Interrupted, MemoryError):
        raise
    except BaseException as error:
        place = place_of(error)
        if not place:
            raise
        said = " ".join(str(error).split())[:300]
        raise Refused(f"{where}: {type(error).__name__}{f': {said}' if said else ''} ({place})") from error
