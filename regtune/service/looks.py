"""What many clients wait for is looked at once for all of them, at the ticks of one clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

import anyio
from anyio.to_thread import run_sync

T = TypeVar("T")


@dataclass
class _Look:
    """One that is under way; then what came of it, nothing where who made it was called off."""

    over: anyio.Event = field(default_factory=anyio.Event)
    came: Callable[[], Any] | None = None  # returns what was found, or raises the error


class Looks:
    """Looks that are under way, by what they are at. Of one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Look] = {}

    async def at(self, what: Hashable, look: Callable[[], T]) -> T:
        """Return what a look in a thread finds, or raise what it raises; who comes meanwhile gets the same."""
        while what in self._under_way:
            under_way = self._under_way[what]
            await under_way.over.wait()
            if under_way.came is not None:
                found: T = under_way.came()
                return found
        mine = self._under_way[what] = _Look()
        try:
            came = await run_sync(_outcome, look)
            mine.came = came
        finally:
            del self._under_way[what]
            mine.over.set()
        return came()


def _outcome(look: Callable[[], T]) -> Callable[[], T]:
    try:
        found = look()
    except Exception as error:  # which all who wait raise
        return partial(_raised, error)
    return lambda: found


def _raised(error: Exception) -> NoReturn:
    raise error


async def tick(seconds: float) -> None:
    """Sleep until the clock strikes a multiple of these seconds, so that all who do wake together."""
    now = time.monotonic()
    await anyio.sleep(seconds - now % seconds)
