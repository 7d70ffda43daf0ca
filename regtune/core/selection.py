"""Which trial is the best: one rule for select, for confirm, for tables and for export. Test scores have no say."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regtune.core.halving import Score, Selection, join_number, off_is_as_good, pick
from regtune.core.header import SweepRecord
from regtune.core.metric import Metric
from regtune.core.neighbours import neighbours
from regtune.core.records import BAD_ENDS, Json, Status, TrialKey


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


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a choice is made from: the scores of each arm, the first of which is the baseline, and the rule's terms.

    `searched` has the search trials that ended well in the order of `rank`, `selected` the scores of select by
    `join_number`. `near` has of each search trial those that lie beside it, see `neighbours`; it is empty where no
    trial's place says anything of another's. `first` is how many of an arm's first trials are points that a person has
    named.
    """

    searched: Mapping[str, Sequence[tuple[int, Score]]]
    selected: Mapping[str, Mapping[int, Score]]
    selection: Selection | None
    can_be_off: Collection[str]
    near: Mapping[int, Sequence[int]] = field(default_factory=dict)
    first: Mapping[str, int] = field(default_factory=dict)


def merge_scored(scored: Scored, other: Scored) -> Scored:
    """Return scores with those of other arms behind them, whose terms are the same."""
    return replace(
        scored,
        searched={**scored.searched, **other.searched},
        selected={**scored.selected, **other.selected},
        first={**scored.first, **other.first},
    )


def choose(scored: Scored) -> Choices:
    """Return the choice of each arm."""
    searched, selected, selection = scored.searched, scored.selected, scored.selection
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
        return [selected[arm][join_number(numbers[arm], seed)] for seed in range(selection.seeds)]

    first = next(iter(searched), "")
    off = {
        arm
        for arm in numbers
        if arm in scored.can_be_off and arm != first and first in numbers and off_is_as_good(final(arm), final(first))
    }
    # Before the baseline has its choice, an arm that can be off has none.
    waiting = {arm for arm in numbers if arm in scored.can_be_off and first not in numbers and searched.get(first)}
    return Choices(
        numbers={arm: number for arm, number in numbers.items() if arm not in waiting},
        off=frozenset(off),
        needed={arm: found.needed for arm, found in picked.items()},
        is_open=any(mine and arm not in numbers for arm, mine in searched.items()),
    )


def rank(score: float, loss: float | None, number: int) -> tuple[float, float, int]:
    """Return what sorts the best first: the score, then the lower loss, then the lower number."""
    return -score, math.inf if loss is None or math.isnan(loss) else loss, number


def score_of(status: str, metrics: Mapping[str, float | None], metric: Metric) -> Score:
    """Return what a trial of select that has ended counts for: one that failed by itself for the worst."""
    if status == "ok":
        return Score(metric.score(metrics.get(metric.val)), metrics.get("val_loss"))
    return Score(None, None) if status == "lost" else Score(metric.worst, None)


def ranked(rows: Iterable[Json], metric: Metric) -> Sequence[Json]:
    """Return the rows of `loader.Results.trials` in this order."""
    return sorted(rows, key=lambda row: rank(metric.score(row[metric.val]), row["val_loss"], row["number"]))


def scored_of(keys: Mapping[TrialKey, Json], sweep: SweepRecord, finishes: Collection[Status]) -> Scored:
    """Return what the choice of a sweep is made from, as its header and the rows of its trial keys have it.

    `finishes` are the statuses of search trials that may be chosen, see `pruners.Pruner`.
    """
    ends, metric = {"ok", *BAD_ENDS}, sweep.search.metric
    searched: dict[str, list[tuple[int, Score]]] = {arm: [] for arm in sweep.arms}
    selected: dict[str, dict[int, Score]] = {}
    ended = (row for key, row in keys.items() if key.phase == "search" and row["status"] in finishes)
    for row in ranked(ended, metric):
        searched[row["arm"]].append((row["number"], Score(metric.score(row[metric.val]), row["val_loss"])))
    for key, row in keys.items():
        if key.phase == "select" and row["status"] in ends:
            selected.setdefault(key.arm, {})[key.number] = score_of(row["status"], row, metric)
    can_be_off = [name for name, arm in sweep.arms.items() if arm.can_be_off]
    first, named = sweep.baseline, named_first(sweep)
    asked = {key.number: row["params"] for key, row in keys.items() if key[:2] == (first, "search") and row["id"]}
    return Scored(
        searched=searched,
        selected=selected,
        selection=Selection.of(sweep),
        can_be_off=can_be_off,
        near=near_of(asked, named[first]) if sweep.paired else {},
        first=named,
    )


def named_first(sweep: SweepRecord) -> dict[str, int]:
    """Return of each arm how many of its first search trials are points that a person has named, see `points`."""
    return {name: len(arm.first) for name, arm in sweep.arms.items()}


def near_of(params: Mapping[int, Mapping[str, Any]], first: int = 0) -> Mapping[int, Sequence[int]]:
    """Return of the first arm's search trials, given by their knobs, which lie beside which where all arms share them.

    Only points of one sequence keep a distance from each other; others are independent draws, and the `first` ones may
    be points that a person has named.
    """
    drawn = {number: mine for number, mine in params.items() if number >= first}
    return neighbours(drawn)


def outdated(keys: Mapping[TrialKey, Json], chosen: Mapping[str, Json], off: Collection[str]) -> list[TrialKey]:
    """Return the confirmed trials whose configuration is no longer their arm's choice: they are to be asked for again.

    They must not be taken for trials of the new choice, beside which they stand while a sweep is extended.
    """
    confirmed = [(key, entry) for key, entry in keys.items() if key.phase == "confirm" and entry["id"]]
    return [
        key for key, entry in confirmed if key.arm in off or entry["params"] != chosen.get(key.arm, entry["params"])
    ]


def in_control_share(arm: str, number: int, share: float, repeat: int = 1) -> bool:
    """Return whether the pruner has no say over a trial: by its name alone, so that every replay agrees.

    Trials of another repeat of the sweep have other names.
    """
    whose = arm if repeat == 1 else f"{repeat}/{arm}"
    digest = hashlib.sha256(f"control/{whose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
