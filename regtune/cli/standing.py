"""Which rungs a cautious pruner does not use so far, from the events of a sweep."""

from __future__ import annotations

from regtune.core.metric import METRICS
from regtune.core.records import Cell, Epoch, Plain
from regtune.pruners import Ladder, Rung, unused
from regtune.sweep.sweep import Sweep


class Standing:
    """Sees what the pruner of each arm is told, and says what it makes of it. Another pruner has nothing to say."""

    def __init__(self, sweep: Sweep) -> None:
        self._metric = METRICS[sweep.search.metric]
        ladders = {arm.name: sweep.pruner.ladder(sweep.training.epochs) for _, arm in sweep.with_copy}
        self._ladders: dict[str, Ladder] = {arm: ladder for arm, ladder in ladders.items() if ladder is not None}
        self._scores: dict[Cell, list[float]] = {}
        self._found: dict[str, dict[tuple[str, int], Rung]] = {}  # by arm, until a trial of it ends

    def watch(self, cell: Cell, event: str, row: Plain) -> None:
        """Take one event, replayed or new."""
        if cell.phase != "search" or not self._ladders:
            return
        if event == "epoch":
            epoch, mine = Epoch.from_plain(row["epoch"]), self._scores.setdefault(cell, [])
            mine.append(self._metric.score(epoch.on_validation(self._metric)))
            self._ladders[cell.arm].take(cell.number, epoch, mine[epoch.kept - 1])
        elif event == "ended":
            self._scores.pop(cell, None)
            self._found.pop(cell.arm, None)
            if "spared" in row:  # the pruner would have ended it, and heard no more of it
                self._ladders[cell.arm].forget(cell.number)

    def words(self) -> str:
        """Say which rungs are not used although enough trials have ended; empty where there are none."""
        for arm, ladder in self._ladders.items():
            if arm not in self._found:
                self._found[arm] = {(arm, rung): ladder.rung(rung) for rung in ladder.rungs}
        return unused({place: self._found[arm][place] for arm in self._ladders for place in self._found[arm]})
