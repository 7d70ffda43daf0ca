"""What a lane knows on the host of the trial in one of its slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from regtune.core.records import Epoch, Trial
from regtune.core.signals import Interrupted
from regtune.core.state import Tensors
from regtune.training.pretraining import Pretraining
from regtune.training.recipe import Recipe

T = TypeVar("T")


@dataclass(kw_only=True)
class Member:
    """The trial in a slot: what it is, and its epochs so far.

    `begun` are the weights that count before the first update, `pretraining` is what they come from. An `idle` slot is
    trained along and yields nothing. `error` is what the trial's own code raised between two epochs, where it has
    neighbours: its slot is then idle.
    """

    trial: Trial
    recipe: Recipe
    begun: Tensors
    epochs: list[Epoch]
    pretraining: Pretraining
    idle: bool = False
    error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether the slot may be filled with another trial."""
        return self.idle or (bool(self.epochs) and self.epochs[-1].outcome is not None)

    def tried(self, action: Callable[[], T]) -> T | None:
        """Return what code of this trial returns; what it raises is its `error`, and its neighbours train on."""
        try:
            return action()
        except Interrupted:
            raise
        except BaseException as error:
            self.error, self.idle = error, True
            return None
