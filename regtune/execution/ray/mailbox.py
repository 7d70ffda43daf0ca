"""What the driver has for its workers: answers to their reports, since Tune carries nothing back, and data."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class Mailbox:
    """An actor with a place for each worker and for the data of each phase; who finds it empty waits."""

    def __init__(self) -> None:
        self._answers: dict[str, asyncio.Queue[bytes]] = defaultdict(asyncio.Queue)
        self._published: dict[int, asyncio.Future[list[ray.ObjectRef[Any]]]] = defaultdict(asyncio.Future)

    async def put(self, worker: str, content: bytes) -> None:
        """Lay an answer into the place of a worker."""
        await self._answers[worker].put(content)

    async def take(self, worker: str) -> bytes:
        """Return the oldest answer to a worker."""
        return await self._answers[worker].get()

    async def publish(self, phase: int, data: list[ray.ObjectRef[Any]]) -> None:
        """Have a reference to the data of a phase at hand, and no other any more."""
        for earlier in [number for number in self._published if number < phase]:
            del self._published[earlier]
        self._published[phase].set_result(data)

    async def published(self, phase: int) -> list[ray.ObjectRef[Any]]:
        """Return the reference to the data of a phase, in a list: Ray would fetch what it refers to."""
        return await asyncio.shield(self._published[phase])


def open_mailbox() -> Any:
    """Start a mailbox on this node, where it lives as long as its handle; it takes no CPU, and many may wait at it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Mailbox).remote()
