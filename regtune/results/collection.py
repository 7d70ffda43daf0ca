"""Python's garbage collector, out of the way where very many objects are made and none of them are in circles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Put off garbage collection: it would go through the rows of a log again and again, a fifth of the reading."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
