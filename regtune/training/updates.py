"""Which updates of the weights a lane makes, in which epoch, and when it has made them."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.core.records import Epoch
from regtune.training.train_step import Update


@dataclass(frozen=True, kw_only=True)
class UpdatePlan:
    """Updates `first`, `first` + 1, ... in epochs of `per_epoch`, `updates` of them at most.

    The share of the budget that is done at an update is its number over `budget`, or `held` throughout.
    `target` ends training after the first epoch whose validation loss is at most that. In a `fixed`
    plan methods that stop training or keep an epoch have no say.
    """

    budget: int
    updates: int
    per_epoch: int
    first: int = 0
    held: float | None = None
    target: float | None = None
    fixed: bool = False

    def in_epoch(self, number: int) -> list[Update]:
        """Return the updates of epoch `number` (from 1)."""
        done = (number - 1) * self.per_epoch
        count = min(self.per_epoch, self.updates - done)
        steps = range(self.first + done, self.first + done + count)
        return [Update(step=step, progress=self._progress(step), ends_epoch=step == steps[-1]) for step in steps]

    def _progress(self, step: int) -> float:
        return step / self.budget if self.held is None else self.held

    def over(self, newest: Epoch) -> bool:
        """Return whether training ends after this epoch."""
        reached = self.target is not None and newest.val_loss is not None and newest.val_loss <= self.target
        return reached or newest.number * self.per_epoch >= self.updates
