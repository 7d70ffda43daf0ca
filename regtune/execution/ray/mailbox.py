"""What the driver answers its lanes: Tune carries reports to it, and nothing back."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class Mailbox:
    """An actor with one place for each lane; who takes from an empty one waits until something is put there."""

    def __init__(self) -> None:
        self._places: dict[str, asyncio.Queue[bytes]] = {}

    async def put(self, lane: str, content: bytes) -> None:
        """Lay an answer into the place of a lane."""
        await self._place(lane).put(content)

    async def take(self, lane: str) -> bytes:
        """Return the oldest answer to a lane."""
        return await self._place(lane).get()

    async def drop(self, lane: str) -> None:
        """Forget a lane that has ended."""
        self._places.pop(lane, None)

    def _place(self, lane: str) -> asyncio.Queue[bytes]:
        return self._places.setdefault(lane, asyncio.Queue())


def open_mailbox() -> Any:
    """Start a mailbox on this node, where it lives as long as its handle; it takes no CPU, and many may wait at it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Mailbox).remote()
