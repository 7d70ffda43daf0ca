"""The best trial of each arm so far, from the events of a sweep."""

from __future__ import annotations

from regtune.core.metric import METRICS
from regtune.core.records import Cell, Plain
from regtune.sweep.sweep import Sweep


class Best:
    """Sees how trials end, and says the best score as tables do: at the epoch kept, of trials that may be chosen."""

    def __init__(self, sweep: Sweep) -> None:
        self._metric = METRICS[sweep.search.metric]
        self._may = sweep.pruner.finishes
        self._kept: dict[Cell, float | None] = {}  # of trials that run
        self._scores: dict[tuple[str, str], float] = {}

    def watch(self, cell: Cell, event: str, row: Plain) -> None:
        """Take one event."""
        if event == "epoch" and row["epoch"]["kept"] == row["epoch"]["number"]:
            self._kept[cell] = row["epoch"].get(self._metric.val)
        if event != "ended":
            return
        value = row["outcome"].get("metrics", {}).get(self._metric.val, self._kept.pop(cell, None))
        if row["outcome"]["status"] in self._may and value is not None:
            score, of = self._metric.score(value), (cell.phase, cell.arm)
            self._scores[of] = max(score, self._scores.get(of, score))

    def score(self, phase: str, arm: str) -> float | None:
        """Return the best score of an arm in a phase, None before there is one."""
        return self._scores.get((phase, arm))

    def words(self, phase: str, arm: str) -> str:
        """Return the best value of an arm in a phase as a reader wants it; empty before there is one."""
        score = self.score(phase, arm)
        return "" if score is None else self._metric.rough(self._metric.turned(score))
