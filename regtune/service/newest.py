"""Copies that are kept within a bound: what was asked for last stays, the oldest makes room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Newest(Generic[K, T]):
    """Keeps what was made for the keys that were asked for last, as long as all of it weighs at most so much.

    What a key weighs is asked whenever the key is: a log grows. The newest is kept whatever it weighs.
    """

    def __init__(self, make: Callable[[K], T], weigh: Callable[[K], int], most: int) -> None:
        self._make, self._weigh, self._most = make, weigh, most
        self._kept: OrderedDict[K, T] = OrderedDict()
        self._weights: dict[K, int] = {}
        self._weight = 0  # of all
        self._lock = threading.Lock()

    def of(self, key: K) -> T:
        """Return what is kept for a key, made now where there is none."""
        weight = self._weigh(key)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._make(key)
            self._kept.move_to_end(key)
            self._weight += weight - self._weights.get(key, 0)
            self._weights[key] = weight
            while self._weight > self._most and len(self._kept) > 1:
                oldest, _ = self._kept.popitem(last=False)
                self._weight -= self._weights.pop(oldest)
            return self._kept[key]
