"""Select: the best few configurations of each arm, trained again on further seeds before one of them is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regtune.board import Asked, Decision, Entry, SearchBoard
from regtune.choice import Choices, Score, Selection, choose, finishes, parted, place, rank, score_of
from regtune.records import Cell, Epoch, Outcome, Trial
from regtune.sweep import Sweep


class SelectBoard:
    """Hands out what `choice.pick` asks for, seed by seed; stops nobody. `planned` grows from round to round.

    The trials are as those of search, on seeds (and, where confirm has them, splits) of their own that all arms
    share. The n-th search trial on the k-th further seed has the number that `choice.place` gives.
    """

    why = "nothing ends it"

    def __init__(self, sweep: Sweep, search: SearchBoard) -> None:
        self.sweep = sweep
        self._params = {
            arm: {number: entry.params for number, entry in board.entries.items()} for arm, board in search.arms.items()
        }
        self._searched = {arm: best_first(board.entries, sweep.search.pruner) for arm, board in search.arms.items()}
        self._selected: dict[str, dict[int, Score]] = {arm: {} for arm in search.arms}
        self._asked: set[Cell] = set()
        self._selection = Selection.of(sweep.plain())
        self._off = [arm.name for arm in sweep.arms if sweep.can_be_off(arm)]
        self.planned: Sequence[Cell] = []
        self._plan()

    @property
    def choices(self) -> Choices:
        """What is chosen so far."""
        return choose(self._searched, self._selected, self._selection, self._off)

    def chosen(self) -> dict[str, Mapping[str, Any]]:
        """Return the knobs that confirm takes of each arm that has a choice of its own."""
        found = self.choices
        return {arm: self._params[arm][number] for arm, number in found.numbers.items() if arm not in found.off}

    def _plan(self) -> None:
        needed = self.choices.needed
        rounds = max(map(len, needed.values()), default=0)
        # Arms take turns: what all of them need first comes first.
        cells = [
            Cell(arm, "select", place(*mine[k])) for k in range(rounds) for arm, mine in needed.items() if k < len(mine)
        ]
        self.planned = list(dict.fromkeys([*self.planned, *cells]))

    def ask(self) -> Asked | None:
        """Return the next trial in turn."""
        for cell in self.planned:
            if cell not in self._asked:
                self._asked.add(cell)
                return Asked(cell, self._trial(cell), self._params[cell.arm][parted(cell.number)[0]])
        return None

    def knows(self, cell: Cell) -> bool:
        """Return whether a cell is of select, and of a search trial that there is."""
        if cell.phase != "select" or self._selection is None or cell.arm not in self._params:
            return False
        number, seed = parted(cell.number)
        return number in self._params[cell.arm] and seed < self._selection.seeds

    def expects(self, asked: Asked) -> bool:
        """Return whether a trial is the one that belongs in its cell."""
        return asked.trial.id == self._trial(asked.cell).id

    def asked_before(self, asked: Asked) -> None:
        """Take note of a trial that the log says was handed out; search may have gone on since."""
        self._asked.add(asked.cell)
        if asked.cell not in self.planned:
            self.planned = [*self.planned, asked.cell]

    def _trial(self, cell: Cell) -> Trial:
        number, k = parted(cell.number)
        seed = self.sweep.select_seed(k)
        trial = self.sweep.arm(cell.arm).trial(self._params[cell.arm][number], seed=seed, phase="search")
        return self.sweep.on_its_split(trial)

    def tell(self, cell: Cell, epoch: Epoch) -> Decision:
        """Let every trial go on."""
        return "go"

    def spared(self, cell: Cell) -> int | None:
        """Stop nobody, so spare nobody."""
        return None

    def end(self, cell: Cell, outcome: Outcome) -> None:
        """Take note of a score; a round that is over plans the next."""
        metrics = outcome.metrics
        score = score_of(outcome.status, metrics.get("val_accuracy"), metrics.get("val_loss"))
        self._selected[cell.arm][cell.number] = score
        self._plan()


def best_first(entries: Mapping[int, Entry], pruner: str) -> list[tuple[int, Score]]:
    """Return the search trials of an arm that ended well, the best first.

    By the best validation accuracy at the kept epoch among unpruned trials, or, where the pruner stops all of them
    after the same epochs, among all: at the epoch kept by then. Ties go to the lower loss, then to the lower number.
    """
    ended = [n for n, e in entries.items() if e.outcome and e.outcome.status in finishes(pruner)]
    found = [(number, _kept(entries[number])) for number in ended]
    return sorted(found, key=lambda each: rank(each[1].accuracy, each[1].loss, each[0]))


def _kept(entry: Entry) -> Score:
    """Return validation accuracy and loss at the epoch that a trial kept."""
    if entry.outcome is not None and entry.outcome.status == "ok":
        return Score(entry.outcome.metrics["val_accuracy"], entry.outcome.metrics["val_loss"])
    kept = entry.epochs[entry.epochs[-1].kept - 1]
    return Score(kept.val_accuracy, kept.val_loss)
