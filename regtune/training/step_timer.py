"""A clock for the parts of a training step that never makes the host wait for a device."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import torch


class StepTimer:
    """Adds up how long each part of many steps takes; what runs from one mark to the next belongs to a part.

    On a GPU the marks are events in its stream, so the times are the device's; asking for them waits for
    it, once.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._parts: list[str] = []
        self._times: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def mark(self, part: str) -> None:
        """Say that `part` begins now."""
        self._parts.append(part)
        if self._gpu:
            self._events.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]  # torch's own lack
            self._events[-1].record()
        else:
            self._times.append(time.perf_counter())

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part up to the last mark."""
        total: dict[str, float] = defaultdict(float)
        for part, seconds in zip(self._parts, self._between(), strict=False):  # the last mark only ends
            total[part] += seconds
        return dict(total)

    def _between(self) -> Sequence[float]:
        if not self._gpu:
            return [end - begin for begin, end in zip(self._times, self._times[1:], strict=False)]
        torch.cuda.synchronize()
        pairs = zip(self._events, self._events[1:], strict=False)
        return [begin.elapsed_time(end) / 1000 for begin, end in pairs]
