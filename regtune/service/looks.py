"""What many clients wait for is looked at once for all of them, at the ticks of one clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.to_thread import run_sync

T = TypeVar("T")


class Looks:
    """Looks that are under way, by what they are at. Of one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def at(self, what: Hashable, look: Callable[[], T], seconds: float) -> T | None:
        """Return what a look in a thread finds, or raise what it raises; who comes meanwhile gets the same.

        None where it takes longer than so many seconds; it goes on, and who comes again gets what it finds.
        """
        task = self._under_way.get(what)
        if task is None:
            # A task of its own: whoever of those who wait is called off, it goes on for the others.
            task = self._under_way[what] = asyncio.create_task(run_sync(look))
            task.add_done_callback(partial(self._ended, what))
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            return None
        found: T = task.result()
        return found

    def _ended(self, what: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[what]
        if not task.cancelled():
            task.exception()  # is known now: nobody may wait for it any more, which asyncio would print


async def tick(seconds: float) -> None:
    """Sleep until the clock strikes a multiple of these seconds, so that all who do wake together."""
    now = time.monotonic()
    await anyio.sleep(seconds - now % seconds)
