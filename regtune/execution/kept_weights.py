"""Which weights of confirmed trials stay beside the log: those of all, or of each arm those of its best trial."""

from __future__ import annotations

from regtune.core.copies import is_copy
from regtune.core.metric import Metric
from regtune.core.records import Json, Outcome, TrialKey
from regtune.core.selection import rank
from regtune.execution.resume import kept_of
from regtune.execution.trained import TrainedRun
from regtune.execution.watch import Watch, Watching, many_of
from regtune.storage.checkpoints import Checkpoints, Saved

Rank = tuple[float, float, int]


class KeptWeights:
    """The weights beside a log; none of the hidden copy of the baseline, which nobody exports.

    With `only_best`, of each arm those of its best trial by the `metric` of search on validation examples, by the rule
    of `regtune export`: see `selection.rank`. Weights are written before the row that says that their trial has ended,
    and go after it where another trial of the arm is better; so there is one file more while a trial ends.
    """

    def __init__(self, files: Checkpoints, *, metric: Metric, only_best: bool) -> None:
        self._files, self._metric, self._only_best = files, metric, only_best
        self._best: dict[str, tuple[Rank, TrialKey]] = {}
        self._worse: set[TrialKey] = set()  # ended, and their weights are to go

    def beside(self, other: Watch) -> Watch:
        """Return a watch that hands every event to another one and to this; a replayed one, with a time, drops none."""

        def watch(event: str, row: Json) -> None:
            other(event, row)
            if event == "ended" and self._only_best:
                self._end(TrialKey(*row["cell"]), Outcome(**row["outcome"]))
                if "time" not in row:
                    self.settle()

        return Watching(one=watch, many=many_of(other))

    def save(self, key: TrialKey, saved: Saved) -> None:
        """Keep the weights of a trial that is about to end; raises NoRoom."""
        if not is_copy(key.arm):
            self._files.save(key, saved)

    def hand_on(self, run: TrainedRun, key: TrialKey, trial: str) -> bool:
        """Give a key the weights of the run that it has the numbers of, by the trial's id, if they are to be kept.

        Return whether all that is to be kept is there; raises NoRoom.
        """
        outcome = run.epochs[-1].outcome
        if is_copy(key.arm) or (self._only_best and outcome is not None and not self._leads(key, outcome)):
            return True
        saved = kept_of(run, trial, self._files)
        if saved is not None:
            self._files.save(key, saved)
        return saved is not None

    def settle(self) -> None:
        """Drop the weights of trials that are not the best of their arm."""
        while self._worse:
            self._files.drop(self._worse.pop())

    def _end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        if outcome.status != "ok" or not self._leads(key, outcome):
            self._worse.add(key)
            return
        if key.arm in self._best:
            self._worse.add(self._best[key.arm][1])
        self._best[key.arm] = self._rank(key, outcome), key

    def _leads(self, key: TrialKey, outcome: Outcome) -> bool:
        """Return whether a trial is better than all of its arm that have ended."""
        return key.arm not in self._best or self._rank(key, outcome) < self._best[key.arm][0]

    def _rank(self, key: TrialKey, outcome: Outcome) -> Rank:
        score = self._metric.score(outcome.metrics.get(self._metric.val))
        return rank(score, outcome.metrics.get("val_loss"), key.number)
