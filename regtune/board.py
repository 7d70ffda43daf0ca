"""The board: which trial comes next, and which one goes on. Starts no ray.

`SearchBoard` holds for each arm an Optuna study and Ray's own AsyncHyperBandScheduler, so an arm is
searched and pruned against itself only. What it says is a function of what it was told so far: a board
rebuilt by telling it the same things again answers the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from optuna.trial import FrozenTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from regtune.arms import Arm
from regtune.records import Cell, Epoch, Outcome, Trial
from regtune.suggest import frozen, suggest
from regtune.sweep import Sweep
from regtune.sweep_file import Search

Decision = Literal["go", "stop"]


class Asked(NamedTuple):
    """A trial to run, its place in the sweep, and the values of the searched knobs by path."""

    cell: Cell
    trial: Trial
    params: Mapping[str, Any]


class Board(Protocol):
    """What a phase of a sweep needs to know of a board."""

    planned: Sequence[Cell]

    def ask(self) -> Asked | None:
        """Return the next trial, or None when every planned one was handed out."""

    def expects(self, asked: Asked) -> bool:
        """Return whether a trial that the log says was handed out is the one that belongs in its cell."""

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out."""

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Take one epoch of a running trial and say whether it goes on."""

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of how a trial ended."""


def rungs(epochs: int, search: Search) -> tuple[int, ...]:
    """Return the epochs after which a search trial may be pruned."""
    if not search.prune:
        return ()
    found, k = [], 0
    while (milestone := math.ceil(grace_epochs(epochs, search) * search.factor**k)) < epochs:
        found.append(milestone)
        k += 1
    return tuple(found)


def grace_epochs(epochs: int, search: Search) -> int:
    """Return the epochs that every trial gets before the first rung."""
    return max(1, math.ceil(search.grace * epochs))


class SearchBoard:
    """Arms take turns: trial 0 of every arm, then trial 1 of every arm, and so on."""

    def __init__(self, sweep: Sweep) -> None:
        self.arms = {arm.name: ArmBoard(arm=arm, sweep=sweep) for arm in sweep.arms}
        most = max(sweep.budget(arm) for arm in sweep.arms)
        self.planned: Sequence[Cell] = [
            Cell(arm.name, "search", number)
            for number in range(most)
            for arm in sweep.arms
            if number < sweep.budget(arm)
        ]

    def ask(self) -> Asked | None:
        """Return the next trial in turn."""
        for cell in self.planned:
            if cell.number not in self.arms[cell.arm].entries:
                return self.arms[cell.arm].ask(cell)
        return None

    def expects(self, asked: Asked) -> bool:
        """Accept every trial: what was asked for is part of what later trials were chosen by."""
        return True

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out."""
        self.arms[asked.cell.arm].entries[asked.cell.number] = Entry(params=asked.params)

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Say whether a trial is good enough within its own arm to go on."""
        return self.arms[cell.arm].tell(cell.number, epoch)

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        self.arms[cell.arm].entries[cell.number].outcome = outcome


@dataclass(kw_only=True)
class Entry:
    """What an arm's board knows of one of its trials; `scores` has one validation accuracy per epoch,
    that of the epoch which the recipe would keep.
    """

    params: Mapping[str, Any]
    epochs: list[Epoch] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    outcome: Outcome | None = None


class ArmBoard:
    """The study and the bracket of one arm."""

    def __init__(self, *, arm: Arm, sweep: Sweep) -> None:
        self.arm, self.sweep = arm, sweep
        self.entries: dict[int, Entry] = {}
        self._epochs = sweep.training.epochs
        self._asha = AsyncHyperBandScheduler(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=self._epochs,
            grace_period=grace_epochs(self._epochs, sweep.search),
            reduction_factor=sweep.search.factor,
            stop_last_trials=False,
        )

    def ask(self, cell: Cell) -> Asked:
        """Return a new trial of this arm."""
        seed = zlib.crc32(f"{self.sweep.name}/{self.sweep.seed}/{self.arm.name}/{cell.number}".encode())
        params = suggest(self.arm.space, self.arm.when, self._history(), self.sweep.search.sampler, seed)
        trial = self.arm.trial(params, seed=self.sweep.search_seed(cell.number), phase="search")
        self.entries[cell.number] = Entry(params=params)
        return Asked(cell, trial, params)

    def tell(self, number: int, epoch: Epoch) -> Decision:
        """Record an epoch; at a rung with enough trials on it, Ray's ASHA decides."""
        entry = self.entries[number]
        entry.epochs.append(epoch)
        kept = entry.epochs[epoch.kept - 1]
        entry.scores.append(kept.val_accuracy if kept.val_accuracy is not None else 0.0)
        if not self.sweep.search.prune or epoch.outcome is not None:
            return "go"
        handle: Any = _Handle(str(number))
        if epoch.number == 1:
            self._asha.on_trial_add(None, handle)  # ASHA uses no controller, and of the trial its id
        action = self._asha.on_trial_result(None, handle, {"epoch": epoch.number, "score": entry.scores[-1]})
        if action != TrialScheduler.STOP:
            return "go"
        others = sum(len(e.epochs) >= epoch.number for n, e in self.entries.items() if n != number)
        return "stop" if others >= self.sweep.search.population else "go"

    def _history(self) -> list[FrozenTrial]:
        """Return the arm's trials so far as Optuna sees them, in the order of their numbers."""
        return [
            frozen(e.params, e.scores, e.outcome.status if e.outcome else None, self.arm.space)
            for _, e in sorted(self.entries.items())
        ]


@dataclass(frozen=True)
class _Handle:
    """The only thing that ASHA asks of a trial."""

    trial_id: str
