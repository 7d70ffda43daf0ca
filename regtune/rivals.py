"""Rivals: configurations that another search might have chosen, trained on a few of the seeds of confirm.

How far they score from the choice says how far a verdict depends on the luck of this search.
"""

from __future__ import annotations

from regtune.boards import Asked, Listed
from regtune.choice import Scored
from regtune.confirm import confirm_trial
from regtune.records import Cell, Outcome
from regtune.resampling import SEEDS, draws, rivals
from regtune.select import SelectBoard
from regtune.selection import parted, place
from regtune.sweep import Sweep


class RivalsBoard(Listed):
    """Hands out the first seeds of confirm for each rival of each arm, seed by seed.

    `scored` is what searches are drawn from again.
    """

    def __init__(self, sweep: Sweep, select: SelectBoard, scored: Scored) -> None:
        super().__init__()
        self.sweep, self._params = sweep, select.params
        self.seeds = min(SEEDS, sweep.confirm.seeds)
        if sweep.scope == "searches":
            paired = sweep.search.sampler == "paired"
            found = draws(scored, paired=paired, stream=f"{sweep.name}/{sweep.seed}")
            mine = rivals(found, select.choices)
            self.plan(
                Cell(arm, "rivals", place(number, seed))
                for seed in range(self.seeds)
                for arm, numbers in mine.items()
                for number in numbers
            )

    def at(self, cell: Cell) -> Asked:
        """Return the trial of a rival on a seed of confirm."""
        number, seed = parted(cell.number)
        params = self._params[cell.arm][number]
        return Asked(cell, confirm_trial(self.sweep, cell.arm, params, seed), params)

    def knows(self, cell: Cell) -> bool:
        """Return whether a cell is planned; rivals of an earlier choice no longer count."""
        return cell.phase == "rivals" and self.has(cell)

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of nothing: what is planned stays."""
