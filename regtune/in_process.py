"""A phase in this process, one trial after the other: for small sweeps, tests and debugging."""

from __future__ import annotations

from collections.abc import Iterator

from regtune.board import Asked
from regtune.data import Pool, Splits
from regtune.phase import Phase, failed
from regtune.records import Epoch, Outcome
from regtune.training import train


def run_here(phase: Phase, data: Splits | Pool) -> None:
    """Run what is left of a phase on these splits, or on splits of this pool that each trial has for itself."""
    while (asked := phase.ask()) is not None:
        for step in _epochs(asked, data):
            if isinstance(step, Outcome):
                phase.end(asked.cell, step)
            elif phase.tell(asked.cell, [step]) == "stop":
                break


def _epochs(asked: Asked, data: Splits | Pool) -> Iterator[Epoch | Outcome]:
    """Yield the epochs of a trial, and how it ended if its own code raised."""
    try:
        yield from train(asked.trial, data=data)
    except Exception as error:
        # Whatever a user's method raises, also while it is built, ends its own trial; log and table carry
        # the message.
        yield failed(error)
