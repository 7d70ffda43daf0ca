"""What the display counts of one arm in one phase."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Tally:
    """What is known of one arm in one phase."""

    planned: int
    running: set[int] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)
    epochs_of_ended: int = 0

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return self.planned - self.ended.total()

    def epochs_left(self, most: int) -> float:
        """Estimate the epochs to come: what ended trials took on average, at first the most."""
        ended = self.ended.total()
        return self.left * (self.epochs_of_ended / ended if ended else most)
