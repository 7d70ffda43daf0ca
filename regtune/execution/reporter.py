"""The reports of trials that train: their epochs in bundles, checkpoints on the way, and the weights they end with.

The same for trials side by side and for one alone, on a worker of a cluster and in one's own process; who trains them
sends the reports to a phase.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from regtune.core.records import Epoch, Outcome, Trial
from regtune.execution.attempt import Report, ReportPlan, failed, overdue
from regtune.storage.checkpoints import Saved

Key = TypeVar("Key", bound=Hashable)


@dataclass(kw_only=True)
class _Attempt:
    """A trial under way: its seconds so far, and its epochs that were not yet reported."""

    trial: Trial
    seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)


class Reporter(Generic[Key]):
    """What there is to tell of trials that train, each under a key, and when by a plan."""

    def __init__(self, plan: ReportPlan) -> None:
        self._plan = plan
        self._open: dict[Key, _Attempt] = {}
        self._ended: list[tuple[Key, Report]] = []
        self._decides = False  # whether an answer is waited for after one of the new epochs
        self._reported = self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the phase should hear of it now; of no news it need not."""
        late = time.monotonic() - self._reported >= self._plan.report_seconds
        news = any(one.epochs for one in self._open.values())
        return bool(self._ended) or (news and (self._decides or late or self._to_save()))

    def begin(self, key: Key, trial: Trial) -> None:
        """Take note that an attempt begins."""
        self._open[key] = _Attempt(trial=trial)

    def epoch(self, key: Key, epoch: Epoch, weights: Callable[[], bytes]) -> bool:
        """Take note of an epoch; return whether the attempt has ended, by itself or because it took too long.

        `weights` returns those that count, for a trial whose weights are wanted.
        """
        one = self._open[key]
        one.epochs.append(epoch)
        one.seconds += epoch.seconds  # its share of the lane's time
        self._decides = self._decides or epoch.number in self._plan.rungs
        limit, ended = self._plan.trial_seconds, epoch.outcome
        if ended is None:
            late = limit is not None and one.seconds > limit
            if limit is not None and late:
                self._end(key, overdue(limit, epoch.kept))
            return late
        if self._plan.weights and one.trial.phase == "confirm" and ended.status == "ok":
            saved = Saved(id=one.trial.id, epoch=epoch.number, content=weights())
            # By itself: what comes last is held in memory to the end of the phase.
            self._ended.append((key, Report(weights=saved)))
        self._end(key, None)
        return True

    def fail(self, key: Key, error: BaseException) -> None:
        """Take note that an attempt ended by what the trial's own code raised, with the epochs that it had."""
        self._end(key, failed(error))

    def drop(self, key: Key) -> None:
        """Take note that an attempt is not continued."""
        del self._open[key]

    def told(self, checkpoint: Callable[[Key], bytes] | None) -> list[tuple[Key, Report]]:
        """Return what there is to tell, with a `checkpoint` of every trial where it is time for one.

        That is None in the middle of an epoch, where none can be made.
        """
        saving = checkpoint is not None and self._to_save()
        for key, one in self._open.items():
            if one.epochs:
                saved = None
                if saving and checkpoint is not None:
                    saved = Saved(id=one.trial.id, epoch=one.epochs[-1].number, content=checkpoint(key))
                self._ended.append((key, Report(epochs=tuple(one.epochs), checkpoint=saved)))
                one.epochs = []
        told, self._ended, self._decides = self._ended, [], False
        self._reported = time.monotonic()
        self._saved = self._reported if saving else self._saved
        return told

    def _end(self, key: Key, outcome: Outcome | None) -> None:
        one = self._open.pop(key)
        self._ended.append((key, Report(epochs=tuple(one.epochs), outcome=outcome)))

    def _to_save(self) -> bool:
        return time.monotonic() - self._saved >= self._plan.checkpoint_seconds
