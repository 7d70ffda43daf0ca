"""Ray's ways with a process that starts or joins it, put aside: what it listens to, prints, and does about signals."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from regtune.execution.ray.private import NICENESS, connect, replaced


def driver_niceness() -> dict[str, str]:
    """Return the variable by which workers of a Ray that starts here run at this process's niceness.

    Ray's own 15 leaves them next to nothing where something else keeps the processors busy. What the user has put
    there stays.
    """
    return {} if NICENESS in os.environ else {NICENESS: "0"}


@contextlib.contextmanager
def unassuming() -> Iterator[None]:
    """Have `ray.init` in the block leave the terminal alone, and SIGTERM to the handler that there is.

    Ray has a thread that prints what nodes tell of workers that died (the log has it, in one line, with the trial),
    a handler for SIGTERM that ends a sweep without a word, and in C++ one that prints the stack and aborts.
    """
    before = signal.getsignal(signal.SIGTERM)
    with replaced(listen_error_messages=_silent, set_sigterm_handler=_unset, connect=_sheltered(connect())):
        yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # in the place of that in C++
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Have a Ray that starts here listen to this machine only.

    Ray turns 127.0.0.1 into the address that other machines see, and has its servers listen there; not on macOS and
    Windows, and not where it is told that this is one of those.
    """
    with replaced(cluster_enabled=False):
        yield


def _sheltered(connect: Callable[..., None]) -> Callable[..., None]:
    """Return Ray's step in which its C++ takes signals over, with SIGTERM held back from there on.

    Not earlier: the processes that Ray starts before it would inherit that.
    """

    def sheltered(*args: Any, **kwargs: Any) -> None:  # whatever Ray calls it with
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        connect(*args, **kwargs)

    return sheltered


def _silent(connected: Any, stopped: threading.Event) -> None:
    """Print nothing, as the thread that prints errors."""


def _unset(handler: Callable[..., None]) -> None:
    """Leave the handler of SIGTERM as it is."""
