"""SIGTERM, which schedulers and Ray Jobs send before they kill, ends a command the way Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end: no KeyboardInterrupt that code of the user raised by itself."""


class Terminated(Interrupted):
    """Someone asked this process to end."""


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[Callable[[], bool]]:
    """Raise Terminated where the block is when SIGTERM comes; a second one during the clean-up changes nothing.

    Yields what says whether one has come: Ray, waiting in C++, makes a plain KeyboardInterrupt of it.
    """
    came = threading.Event()

    def terminated(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        came.set()
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def sigint_marked() -> Iterator[None]:
    """Have Ctrl-C raise Interrupted where the block is, so that it is told from what code of the user raises.

    Signals come to the main thread only; a handler that does not raise KeyboardInterrupt does what it did.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def marked(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except KeyboardInterrupt as error:
            raise Interrupted from error

    signal.signal(signal.SIGINT, marked)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
