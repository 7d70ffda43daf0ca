"""The schedulers of a sweep and of its hidden copy as one: neither knows of the other, and both are done together."""

from __future__ import annotations

from collections.abc import Sequence

from regtune.core.copies import is_copy
from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.search.scheduler import Decision, Scheduler, Suggestion
from regtune.storage.bundles import Bundle


class ArmsAndCopy:
    """Hands out the trials of the arms and of the copy in proportion, so that a limit cuts both alike."""

    def __init__(self, arms: Scheduler, copy: Scheduler) -> None:
        self._arms, self._copy = arms, copy
        self._asked = {False: 0, True: 0}  # how many of the arms and of the copy were handed out
        self.why = arms.why

    @property
    def planned(self) -> Sequence[TrialKey]:
        """The trial keys of both."""
        return [*self._arms.planned, *self._copy.planned]

    def ask(self) -> Suggestion | None:
        """Return the next trial of the one that is further behind; of the arms where none is."""
        schedulers = {False: self._arms, True: self._copy}
        for which in sorted(schedulers, key=lambda which: self._asked[which] / max(len(schedulers[which].planned), 1)):
            if (asked := schedulers[which].ask()) is not None:
                self._asked[which] += 1
                return asked
        return None

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned, or could be later."""
        return self._of(key).has(key)

    def matches(self, asked: Suggestion) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs under its key."""
        return self._of(asked.key).matches(asked)

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked[is_copy(asked.key.arm)] += 1
        self._of(asked.key).asked_before(asked)

    def tell(self, key: TrialKey, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it continues."""
        return self._of(key).tell(key, epoch)

    def tell_all(self, bundle: Bundle) -> Sequence[int]:
        """Take epochs of running trials in their order; return the places of those that are to end."""
        stopped = list[int]()
        for copy, scheduler in ((False, self._arms), (True, self._copy)):  # neither knows of the other
            places = [place for place, cell in enumerate(bundle.cells) if is_copy(cell[0]) == copy]
            if places:
                stopped += [places[place] for place in scheduler.tell_all(bundle.part(places))]
        return stopped

    def would_have_stopped_at(self, key: TrialKey) -> int | None:
        """Return the epoch after which a trial of the control share would have been stopped, if any."""
        return self._of(key).would_have_stopped_at(key)

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        self._of(key).end(key, outcome)

    def _of(self, key: TrialKey) -> Scheduler:
        return self._copy if is_copy(key.arm) else self._arms
