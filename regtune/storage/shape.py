"""Rows that have their checksum but are not as regtune writes them: by another program, or another version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from regtune.core.errors import Refused

_SHAPES = (KeyError, TypeError, ValueError, AttributeError, IndexError)  # what taking such a row apart raises


@contextlib.contextmanager
def refused_if_misshapen(path: Path, place: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Take rows of a log apart in the block; raises Refused for one of another shape.

    `place` says at its end where the row begins, in bytes; without one, it is what all rows say together.
    """
    try:
        yield
    except Refused:
        raise
    except _SHAPES as error:
        begin = place()
        where = f"{path}: the row at byte {begin}" if begin is not None else f"{path}"
        given = f"{type(error).__name__}: {error}"
        raise Refused(
            f"{where}: expected rows as regtune writes them, given others ({given}); read it with the regtune that "
            f"wrote it"
        ) from error
