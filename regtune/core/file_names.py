"""Names of files as text, and back.

What users name in files is UTF-8, and so are names of files here, whatever the locale: in that of C, where Python
cannot decode them, a sweep is called as it is elsewhere.
"""

from __future__ import annotations

import os


def as_text(name: str) -> str:
    """Return the name of a file as text, given that which Python has for it."""
    return os.fsencode(name).decode("utf-8", "replace")


def as_file(text: str) -> str:
    """Return what Python has for the name of a file that is called so."""
    return os.fsdecode(text.encode("utf-8"))
