"""Rows that have their checksum but are not as regtune writes them: by another program, or another version."""

from __future__ import annotations

from pathlib import Path

from regtune.core.errors import Refused

SHAPES = (KeyError, TypeError, ValueError, AttributeError, IndexError)  # what taking such a row apart raises


def misshapen(path: Path, place: int | None, error: Exception) -> Refused:
    """Return the refusal of the row that begins at a place of a log, in bytes; without one, of what its rows say."""
    where = f"{path}: the row at byte {place}" if place is not None else f"{path}"
    given = f"{type(error).__name__}: {error}"
    return Refused(
        f"{where}: expected rows as regtune writes them, given others ({given}); read it with the regtune that wrote it"
    )
