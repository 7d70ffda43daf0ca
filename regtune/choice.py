"""Which trial is the best: one rule for select, for confirm, for tables and for export. Test scores have no say.

Search gives every configuration one noisy score, and the best of many of those flatters: its configuration is as
likely to have been lucky as good. So the best few are trained again, on further seeds (and splits) that all arms
share, and chosen by the mean: successive halving over seeds (K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm
Identification and Hyperparameter Optimization", 2016). Where an arm can be off, the baseline's choice is a candidate
too, by the one-standard-error rule (L. Breiman et al., "Classification and Regression Trees", 1984).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regtune.records import FAULTS, Cell, Plain, Status

STRIDE = 100  # places in select that belong to one search trial: more than it has seeds


class Score(NamedTuple):
    """Validation accuracy and loss of a trial at the epoch kept; None where a fault of the machine left none."""

    accuracy: float | None
    loss: float | None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The terms of select: the best `candidates` of an arm, and all within two standard errors of its best up to
    `most`, are trained on up to `seeds` further seeds. `examples` is the size of the validation split, if known.
    """

    candidates: int
    most: int
    seeds: int
    examples: int | None

    @classmethod
    def of(cls, sweep: Plain) -> Selection | None:
        """Return the selection of a sweep as its header has it; None for none, as in logs of before there was one."""
        terms = sweep.get("select")
        if terms is None:
            return None
        examples = next(iter(sweep["arms"].values()))["template"]["data"].get("validation")
        return cls(**terms, examples=examples if isinstance(examples, int) else None)

    def finalists(self, searched: Sequence[tuple[int, Score]]) -> list[int]:
        """Return the numbers of the search trials that go on, given all in the order of `rank`.

        The standard error is that of the best accuracy over its validation examples.
        """
        if not searched:
            return []
        best = searched[0][1].accuracy or 0.0
        width = 2 * math.sqrt(best * (1 - best) / self.examples) if self.examples else 0.0
        close = [score.accuracy is not None and best - score.accuracy <= width for _, score in searched]
        count = max(self.candidates, close.index(False) if False in close else len(close))
        return [number for number, _ in searched[: min(count, max(self.most, self.candidates))]]

    def rounds(self, finalists: int) -> list[tuple[int, int]]:
        """Return of each round how many finalists are in it and how many seeds each of them has at its end."""
        count = max(1, math.floor(math.log2(max(finalists, 1))))
        found, left = [], finalists
        for k in range(count):
            found.append((left, math.ceil(self.seeds * (k + 1) / count)))
            left = math.ceil(left / 2)
        return found

    @property
    def trials(self) -> int:
        """How many trials an arm takes at most."""
        total, before = 0, 0
        for count, seeds in self.rounds(self.most):
            total, before = total + count * (seeds - before), seeds
        return total


class Picked(NamedTuple):
    """What select needs of an arm, (search trial, seed) in the order in which it asks, and whom it picks so far."""

    needed: list[tuple[int, int]]
    number: int | None


def pick(finalists: Sequence[int], scores: Mapping[int, Score], selection: Selection) -> Picked:
    """Return what the rule asks for after these scores, by `place`, and the search trial chosen, None while it is open.

    In each round all that are left get as many seeds as the others, then the better half goes on, by mean accuracy,
    then mean loss, then the order of search. A trial that failed or diverged counts as accuracy 0.
    """
    left, needed = list(finalists), dict[tuple[int, int], None]()
    for _, seeds in selection.rounds(len(finalists)) if finalists else []:
        asked = [(number, seed) for seed in range(seeds) for number in left]
        needed |= dict.fromkeys(asked)
        if any(place(*each) not in scores for each in asked):
            return Picked(list(needed), None)
        order = {number: k for k, number in enumerate(finalists)}
        means = {number: _mean([scores[place(number, seed)] for seed in range(seeds)]) for number in left}
        left = sorted(left, key=lambda number: (*means[number], order[number]))[: math.ceil(len(left) / 2)]
    return Picked(list(needed), left[0] if left else None)


def off_is_as_good(own: Sequence[Score], baseline: Sequence[Score]) -> bool:
    """Return whether a method is left off, by scores of its choice and of the baseline's on the same seeds.

    It is where the baseline is better by more than one standard error of the paired differences.
    """
    pairs = [(b.accuracy, a.accuracy) for a, b in zip(own, baseline, strict=True)]
    gains = [b - a for b, a in pairs if a is not None and b is not None]
    if len(gains) < 2:
        return False
    mean = sum(gains) / len(gains)
    variance = sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return mean > math.sqrt(variance / len(gains))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Of each arm with a choice the number of its search trial; arms that are `off` take the baseline's.

    `needed` has of each arm what select asks for so far, see `pick`; `is_open` says whether any arm's choice is still
    to come.
    """

    numbers: Mapping[str, int]
    off: frozenset[str]
    needed: Mapping[str, list[tuple[int, int]]]
    is_open: bool


def choose(
    searched: Mapping[str, Sequence[tuple[int, Score]]],
    selected: Mapping[str, Mapping[int, Score]],
    selection: Selection | None,
    can_be_off: Collection[str],
) -> Choices:
    """Return the choice of each arm, the first of which is the baseline.

    `searched` has the search trials that ended well in the order of `rank`, `selected` the scores of select by `place`.
    """
    if selection is None:
        return Choices(
            numbers={arm: mine[0][0] for arm, mine in searched.items() if mine},
            off=frozenset(),
            needed={},
            is_open=False,
        )
    picked = {arm: pick(selection.finalists(mine), selected.get(arm, {}), selection) for arm, mine in searched.items()}
    numbers = {arm: found.number for arm, found in picked.items() if found.number is not None}

    def final(arm: str) -> list[Score]:
        return [selected[arm][place(numbers[arm], seed)] for seed in range(selection.seeds)]

    first = next(iter(searched), "")
    off = {
        arm
        for arm in numbers
        if arm in can_be_off and arm != first and first in numbers and off_is_as_good(final(arm), final(first))
    }
    # Before the baseline has its choice, an arm that can be off has none.
    waiting = {arm for arm in numbers if arm in can_be_off and first not in numbers and searched.get(first)}
    return Choices(
        numbers={arm: number for arm, number in numbers.items() if arm not in waiting},
        off=frozenset(off),
        needed={arm: found.needed for arm, found in picked.items()},
        is_open=any(mine and arm not in numbers for arm, mine in searched.items()),
    )


def place(number: int, seed: int) -> int:
    """Return the number in select of a search trial on a further seed."""
    return number * STRIDE + seed


def parted(number: int) -> tuple[int, int]:
    """Return search trial and seed of a number in select."""
    return divmod(number, STRIDE)


def rank(accuracy: float | None, loss: float | None, number: int) -> tuple[float, float, int]:
    """Return what sorts the best first: validation accuracy, then the lower loss, then the lower number."""
    return -(accuracy or 0.0), math.inf if loss is None or math.isnan(loss) else loss, number


def finishes(pruner: str) -> frozenset[Status]:
    """Return how a search trial ends that confirm may choose; where all are stopped alike, to be is no fault."""
    return frozenset({"ok", "pruned"} if pruner == "epochs" else {"ok"})


def score_of(status: str, accuracy: float | None, loss: float | None) -> Score:
    """Return what a trial of select that has ended counts for: one that failed by itself for accuracy 0."""
    if status == "ok":
        return Score(accuracy or 0.0, loss)
    return Score(None, None) if status == "lost" else Score(0.0, None)


def pruner_of(search: Plain) -> str:
    """Return the pruner of a sweep; logs from before there were names say only whether any trial could end early."""
    return str(search.get("pruner") or ("asha" if search.get("prune", True) else "none"))


def ranked(rows: Iterable[Plain]) -> Sequence[Plain]:
    """Return the rows of `store.Results.trials` in this order."""
    return sorted(rows, key=lambda row: rank(row["val_accuracy"], row["val_loss"], row["number"]))


def choices_of(cells: Mapping[Cell, Plain], sweep: Plain) -> Choices:
    """Return the choices of a sweep as its header and the rows of its cells have them."""
    may, ends = finishes(pruner_of(sweep["search"])), {"ok", *FAULTS}
    searched: dict[str, list[tuple[int, Score]]] = {arm: [] for arm in sweep["arms"]}
    selected: dict[str, dict[int, Score]] = {}
    for row in ranked(row for cell, row in cells.items() if cell.phase == "search" and row["status"] in may):
        searched[row["arm"]].append((row["number"], Score(row["val_accuracy"], row["val_loss"])))
    for cell, row in cells.items():
        if cell.phase == "select" and row["status"] in ends:
            score = score_of(row["status"], row["val_accuracy"], row["val_loss"])
            selected.setdefault(cell.arm, {})[cell.number] = score
    can_be_off = [arm for arm, row in sweep["arms"].items() if row.get("off")]
    return choose(searched, selected, Selection.of(sweep), can_be_off)


def outdated(cells: Mapping[Cell, Plain], chosen: Mapping[str, Plain], off: Collection[str]) -> list[Cell]:
    """Return the confirmed cells whose configuration is no longer their arm's choice: they are to be asked for again.

    They must not be taken for trials of the new choice, beside which they stand while a sweep is extended.
    """
    confirmed = [(cell, entry) for cell, entry in cells.items() if cell.phase == "confirm" and entry["id"]]
    return [
        cell for cell, entry in confirmed if cell.arm in off or entry["params"] != chosen.get(cell.arm, entry["params"])
    ]


def _mean(scores: Sequence[Score]) -> tuple[float, float]:
    """Return what sorts the best first: mean accuracy, its sign turned, then mean loss."""
    known = [score for score in scores if score.accuracy is not None]
    if not known:
        return math.inf, math.inf
    losses = [math.inf if score.loss is None or math.isnan(score.loss) else score.loss for score in known]
    return -sum(score.accuracy or 0.0 for score in known) / len(known), sum(losses) / len(losses)
