"""The schedulers of a sweep and of its hidden copy as one: neither knows of the other, and both are done together."""

from __future__ import annotations

from collections.abc import Sequence

from regtune.core.copies import is_copy
from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.search.scheduler import Decision, Scheduler, Suggestion


class ArmsAndCopy:
    """Hands out the trials of the arms and of the copy in proportion, so that a limit cuts both alike."""

    def __init__(self, arms: Scheduler, copy: Scheduler) -> None:
        self._arms, self._copy = arms, copy
        self._asked = {False: 0, True: 0}  # how many of the arms and of the copy were handed out
        self.why = arms.why

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The cells of both."""
        return [*self._arms.planned, *self._copy.planned]

    def ask(self) -> Suggestion | None:
        """Return the next trial of the one that is further behind; of the arms where none is."""
        schedulers = {False: self._arms, True: self._copy}
        for which in sorted(schedulers, key=lambda which: self._asked[which] / max(len(schedulers[which].planned), 1)):
            if (asked := schedulers[which].ask()) is not None:
                self._asked[which] += 1
                return asked
        return None

    def has(self, cell: TrialKey) -> bool:
        """Return whether a cell is planned, or could be later."""
        return self._of(cell).has(cell)

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs in its cell."""
        return self._of(asked.cell).matches(asked)

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked[is_copy(asked.cell.arm)] += 1
        self._of(asked.cell).asked_before(asked)

    def tell(self, cell: TrialKey, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it goes on."""
        return self._of(cell).tell(cell, epoch)

    def would_have_stopped_at(self, cell: TrialKey) -> int | None:
        """Return the epoch after which a trial of the control share would have been stopped, if any."""
        return self._of(cell).would_have_stopped_at(cell)

    def end(self, cell: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        self._of(cell).end(cell, outcome)

    def _of(self, cell: TrialKey) -> Scheduler:
        return self._copy if is_copy(cell.arm) else self._arms
