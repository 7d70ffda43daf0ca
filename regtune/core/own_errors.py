"""What the user's own code raises before a trial is under way: one line, with its place, whatever was raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from regtune.core.errors import Refused
from regtune.core.own_code import place_of
from regtune.core.signals import Interrupted, sigint_marked


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
