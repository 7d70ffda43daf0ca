"""Confirm: each arm's best configuration, trained again on fresh seeds that all arms share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from regtune.board import Asked, Decision
from regtune.records import Cell, Epoch, Outcome, Trial
from regtune.select import SelectBoard
from regtune.statistics.racing import Race
from regtune.sweep import Sweep


class ConfirmBoard:
    """Hands out seed 0 of every arm, then seed 1 of every arm, and so on; stops nobody.

    In a race `planned` grows when all that is planned has ended and the race asks for more.
    """

    why = "nothing ends it"

    def __init__(self, sweep: Sweep, select: SelectBoard) -> None:
        self.sweep = sweep
        self.chosen: Mapping[str, Mapping[str, Any]] = select.chosen()
        self._race = Race.of(sweep.confirm.model_dump())
        self._ended: dict[str, dict[int, float | None] | None] = {
            arm.name: {} if arm.name in self.chosen else None for arm in sweep.arms
        }
        self._over: set[Cell] = set()
        self._asked: set[Cell] = set()
        self.planned: Sequence[Cell] = []
        self._plan(self._race.seeds(self._ended) if self._race else dict.fromkeys(self.chosen, sweep.confirm.seeds))

    def _plan(self, seeds: Mapping[str, int]) -> None:
        """Plan so many seeds for each arm, seed by seed, beside what is planned already."""
        cells = [
            Cell(name, "confirm", number)
            for number in range(max(seeds.values(), default=0))
            for name in self.chosen
            if number < seeds[name]
        ]
        self.planned = list(dict.fromkeys([*self.planned, *cells]))

    def ask(self) -> Asked | None:
        """Return the next trial in turn."""
        for cell in self.planned:
            if cell not in self._asked:
                self._asked.add(cell)
                return Asked(cell, self._trial(cell), self.chosen[cell.arm])
        return None

    def knows(self, cell: Cell) -> bool:
        """Return whether a cell is planned, or a race could ask for it."""
        return cell.phase == "confirm" and cell.arm in self.chosen and cell.number < self.sweep.confirm.seeds

    def expects(self, asked: Asked) -> bool:
        """Return whether a trial is of the configuration that its arm has chosen now."""
        return asked.trial.id == self._trial(asked.cell).id

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out."""
        self._asked.add(asked.cell)
        # In a race an earlier driver may know of a look that is open now: a lost trial in it is tried again.
        if self._race and asked.cell not in self.planned:
            self.planned = [*self.planned, asked.cell]

    def _trial(self, cell: Cell) -> Trial:
        seed, terms = self.sweep.confirm_seed(cell.number), self.sweep.confirm
        trial = self.sweep.arm(cell.arm).trial(self.chosen[cell.arm], seed=seed, phase="confirm")
        trial = dataclasses.replace(trial, retrain=terms.retrain, retrain_cap=terms.retrain_cap)
        return self.sweep.on_its_split(trial)

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Let every trial go on."""
        return "go"

    def spared(self, cell: Cell) -> int | None:
        """Stop nobody, so spare nobody."""
        return None

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of a score; nothing but a race needs it."""
        mine = self._ended[cell.arm]
        if self._race is None or mine is None:
            return
        mine[cell.number] = outcome.metrics.get("test_accuracy") if outcome.status == "ok" else None
        self._over.add(cell)
        if len(self._over) == len(self.planned):  # a look waits for all its trials
            self._plan(self._race.seeds(self._ended))
