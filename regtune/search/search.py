"""The scheduler: which trial comes next, and which one continues. Starts no Ray.

`SearchScheduler` holds for each arm its trials and a pruner of its own, so an arm is searched and pruned against
itself only. What it says is a function of what it was told so far: a scheduler rebuilt by telling it the same
things again answers the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from regtune.core.metric import ACCURACY, METRICS
from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.core.selection import in_control_share
from regtune.pruners import SparseJudge
from regtune.samplers import SAMPLERS, Question, as_worst, frozen, is_bad
from regtune.search.scheduler import Decision, Suggestion
from regtune.storage.bundles import Bundle
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep


class SearchScheduler:
    """Arms take turns: trial 0 of every arm, then trial 1 of every arm, and so on.

    `shared` is the scheduler of another arm whose trials count for those of every arm: the baseline's for its copy.
    """

    def __init__(self, sweep: Sweep, shared: ArmScheduler | None = None) -> None:
        self.arms = {arm.name: shared or ArmScheduler(arm=arm, sweep=sweep) for arm in sweep.arms}
        most = max(sweep.budget(arm) for arm in sweep.arms)
        self.planned: Sequence[TrialKey] = [
            TrialKey(arm.name, "search", number)
            for number in range(most)
            for arm in sweep.arms
            if number < sweep.budget(arm)
        ]
        self._known = frozenset(self.planned)
        self.why, self._metric = sweep.pruner.why, METRICS[sweep.search.metric]
        self._turn = 0  # every planned trial before it was handed out

    def ask(self) -> Suggestion | None:
        """Return the next trial in turn."""
        while self._turn < len(self.planned):
            key = self.planned[self._turn]
            if key.number not in self.arms[key.arm].entries:
                return self.arms[key.arm].ask(key)
            self._turn += 1
        return None

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned."""
        return key in self._known

    def matches(self, asked: Suggestion) -> bool:
        """Accept every trial: what was asked for is part of what later trials were chosen by."""
        return True

    def asked_before(self, asked: Suggestion) -> None:
        """Take note of a trial that the log says was handed out."""
        self.arms[asked.key.arm].entries[asked.key.number] = TrialState(params=asked.params)

    def tell(self, key: TrialKey, epoch: Epoch) -> Decision:
        """Say whether a trial is good enough within its own arm to continue."""
        return self.arms[key.arm].tell(key.number, epoch)

    def tell_all(self, bundle: Bundle) -> Sequence[int]:
        """Take epochs of running trials in their order; return the places of those that are to end."""
        metric = self._metric
        scores = metric.scores(bundle.column(metric.val))
        losses, kept = bundle.column("val_loss"), bundle.column("kept")
        numbers, outcomes = bundle.column("number"), bundle.column("outcome")
        stopped = list[int]()
        for place, (name, _, number) in enumerate(bundle.cells):
            arm = self.arms[name]
            entry = arm.entries[number]
            entry.take(scores[place], losses[place], kept=kept[place] == numbers[place])
            needed = arm.needs(numbers[place], ended=outcomes[place] is not None)
            if needed and arm.judged(number, entry, Epoch.from_plain(bundle.epoch(place))) == "stop":
                stopped.append(place)
        return stopped

    def would_have_stopped_at(self, key: TrialKey) -> int | None:
        """Return after which epoch the arm's pruner would have stopped a trial that it had no say over."""
        return self.arms[key.arm].entries[key.number].spared

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        self.arms[key.arm].entries[key.number].outcome = outcome


@dataclass(kw_only=True)
class TrialState:
    """What an arm's scheduler knows of one of its trials, in little memory: there may be many.

    `scores` has one per epoch, of which more is better: the metric of search at the epoch which the recipe would keep.
    `loss` is the validation loss there, as of the newest epoch. `spared` is the epoch after which it would have been
    stopped.
    """

    params: Mapping[str, Any]
    scores: array[float] = field(default_factory=lambda: array("d"))
    loss: float | None = None
    outcome: Outcome | None = None
    spared: int | None = None

    def take(self, score: float, loss: float | None, *, kept: bool) -> None:
        """Take note of its next epoch: it is the one kept, or that is the same as before."""
        if kept or not self.scores:
            self.scores.append(score)
            self.loss = loss
        else:
            self.scores.append(self.scores[-1])


class ArmScheduler:
    """The trials of one arm, its sampler and its pruner."""

    def __init__(self, *, arm: Arm, sweep: Sweep) -> None:
        self.arm, self.sweep = arm, sweep
        self.entries: dict[int, TrialState] = {}
        self._sampler = SAMPLERS.find(sweep.search.sampler, "search.sampler", arm.template.plugins)
        self._metric = METRICS[sweep.search.metric]
        # Of accuracies alone the number of examples tells an error.
        examples = arm.template.data.get("validation") if self._metric == ACCURACY else None
        self._finishes = sweep.pruner.finishes
        self._judge = sweep.pruner.judge(sweep.training.epochs, examples)
        self._needed = self._judge.epochs_needed if isinstance(self._judge, SparseJudge) else None
        self._ended: dict[int, FrozenTrial] = {}  # what an ended trial is to Optuna changes no more

    def ask(self, key: TrialKey) -> Suggestion:
        """Return a new trial of this arm."""
        stream = f"{self.sweep.search.stream or self.sweep.name}/{self.sweep.seed}"
        question = Question(
            space=self.arm.space,
            when=self.arm.when,
            stream=f"{stream}/{self.arm.name}",
            sweep=stream,
            shared=self.arm.shared,
            number=key.number,
            history=self._history,
            levels=self.sweep.search.levels,
            sampling=self.sweep.sampling,
        )
        known = key.number < len(self.arm.first)
        params = self.arm.first[key.number] if known else self._sampler().sample(question)
        trial = self.arm.trial(params, seed=self.sweep.search_seed(key.number), phase="search")
        self.entries[key.number] = TrialState(params=params)
        return Suggestion(key, trial, params)

    def tell(self, number: int, epoch: Epoch) -> Decision:
        """Record an epoch; the arm's pruner decides."""
        entry = self.entries[number]
        score = self._metric.score(epoch.on_validation(self._metric))
        entry.take(score, epoch.val_loss, kept=epoch.kept == epoch.number)
        needed = self.needs(epoch.number, ended=epoch.outcome is not None)
        return self.judged(number, entry, epoch) if needed else "go"

    def needs(self, epoch: int, *, ended: bool) -> bool:
        """Return whether the arm's pruner is told of an epoch with this number, `ended` where it is a trial's last."""
        return self._needed is None or epoch in self._needed or ended

    def judged(self, number: int, entry: TrialState, epoch: Epoch) -> Decision:
        """Return what the arm's pruner decides of a trial after an epoch of which note was taken."""
        # Of a trial that was spared the pruner hears no more: others are judged as if it had been stopped.
        if entry.spared is not None or not self._judge.ends(number, epoch, entry.scores[-1]):
            return "go"
        if not in_control_share(self.arm.name, number, self.sweep.search.control, self.sweep.repeat):
            return "stop"
        entry.spared = epoch.number
        return "go"

    def _history(self) -> list[FrozenTrial]:
        """Return the arm's trials so far as Optuna sees them, in the order of their numbers."""
        entries = sorted(self.entries.items())
        trials = [self._ended.get(number) or self._frozen(number, entry) for number, entry in entries]
        if self.sweep.sampling == 1:
            return trials
        return as_worst(trials, {number for number, entry in entries if is_bad(entry.outcome)})

    def _frozen(self, number: int, entry: TrialState) -> FrozenTrial:
        status = entry.outcome.status if entry.outcome else None
        if status in self._finishes:
            status = "ok"
        made = frozen(number, entry.params, entry.scores, status, self.arm.space)
        if status is not None:
            self._ended[number] = made
        return made
