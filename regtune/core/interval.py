"""Ranges of numbers, written as in mathematics."""

from __future__ import annotations

import re
from dataclasses import dataclass

_INTERVAL = re.compile(r"^([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])$")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A range of numbers, written as in mathematics: `[0, 1)`."""

    text: str
    low: float
    high: float
    low_open: bool
    high_open: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `[0, 1)`; raises ValueError for anything else."""
        match = _INTERVAL.match(text)
        if match is None:
            raise ValueError(f"an interval is written like [0, 1), given {text!r}")
        left, low, high, right = match.groups()
        return cls(text=text, low=float(low), high=float(high), low_open=left == "(", high_open=right == ")")

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below
