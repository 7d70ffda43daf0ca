"""Bytes on their way between a driver and a worker."""

from __future__ import annotations


class Cargo:
    """Bytes that Tune can hold and print without a look inside: it writes whatever it handles into its messages."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def take(self) -> bytes:
        """Return the bytes and keep nothing: Tune holds the newest report of every trial to the end."""
        content, self._content = self._content, b""
        return content
