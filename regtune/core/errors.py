"""What regtune says when it refuses something: one line, with the way out.

Every mistake a user can make is raised as `Refused`. The command line prints its text and exits with
code 2; a notebook sees an ordinary `ValueError`. Faults of regtune itself are never `Refused`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_OPTIONS = 12  # named where none is close; more would not be one line


class Refused(ValueError):
    """A request that cannot be carried out, said in one line: where, expected, given, remedy.

    What the user wrote may hold line breaks and worse; they are shown escaped.
    """

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def nearest(name: object, options: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the option closest to `name`, else the options, of many the first."""
    known = sorted(options)
    word = name if isinstance(name, str) else shown(name)
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    more = f" and {len(known) - MOST_OPTIONS} more" if len(known) > MOST_OPTIONS else ""
    return f" (one of: {', '.join(known[:MOST_OPTIONS])}{more})" if known else ""


def shown(value: object, limit: int = 60) -> str:
    """Return `repr(value)` in one line of at most `limit` characters."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of thousands of digits, tables nested without end
        text = f"a {type(value).__name__} too large to print"
    return text if len(text) <= limit else text[: limit - 1] + "…"
