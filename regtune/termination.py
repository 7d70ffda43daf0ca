"""SIGTERM, which schedulers and Ray Jobs send before they kill, ends a command the way Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Someone asked this process to end."""


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raise Terminated where the block is when SIGTERM comes; a second one during the clean-up changes nothing."""
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def sigterm_kept() -> Iterator[None]:
    """Put the caller's handler back after the block: `ray.init` sets its own, which ends a sweep without a word."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
