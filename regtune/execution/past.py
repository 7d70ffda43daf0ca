"""What a driver keeps of the rows of its log while it reads them, once: little, however many epochs there are."""

from __future__ import annotations

from regtune.core.records import Json
from regtune.execution.limits import Work
from regtune.execution.trained import RecordedTrials


class Past:
    """What a log says of the work so far, and of trials that were trained."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was told: the log is read from its beginning."""
        self.work, self.trials = Work(), RecordedTrials()

    def take(self, place: int, row: Json) -> None:
        """Take the next row of the log."""
        self.work.take(row)
        self.trials.take(place, row)
