"""No pruning: every search trial gets all of its epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regtune.core.metric import Metric
from regtune.core.records import Epoch
from regtune.pruners._base import Judge, Pruner


@dataclass(frozen=True, kw_only=True)
class Unpruned(Pruner):
    """No trial is pruned."""

    label: ClassVar[str] = "none"
    why: ClassVar[str] = "nothing ends it"
    at_rungs: ClassVar[bool] = False
    independent: ClassVar[bool] = True

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """There are none."""
        return ()

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return one that lets every trial continue."""
        return _Judge()

    def words(self, metric: Metric) -> str:
        """Say that none ended."""
        return "none pruned"


class _Judge:
    epochs_needed = frozenset[int]()

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Let every trial continue."""
        return False
