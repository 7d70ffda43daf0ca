"""A trial that several cells hold is trained once: the others have its numbers, and are charged for them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regtune.analysis.budget import budget_by_phase
from regtune.core.records import SAME, Json, Outcome, TrialKey
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.limits import Work
from regtune.execution.reproduce import recorded_epochs
from regtune.execution.trained import Trained
from regtune.results.loader import load
from regtune.search.scheduler import Suggestion
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.log import read_log
from tests.conftest import small_trial
from tests.resuming import (
    SMALL,
    assert_same_results,
    by_key,
    ran,
    rows_of,
    stopped,
    table_of_epochs,
    trained_epochs,
)
from tests.schedulers import Twins, trials_of
from tests.test_rebuilt import Memory
from tests.test_scheduler import epoch, finished

# Two arms of one recipe, paired: all their trials are the same, as are those of their choices.
TWINS = SMALL.replace("dropout = { dropout = {} }", "twin = {}").replace('"random"', '"paired"')


def sources(log: Path) -> dict[TrialKey, TrialKey]:
    """Return whose numbers a cell has."""
    return {TrialKey(*row["cell"]): TrialKey(*row[SAME]) for row in rows_of(log, "started") if SAME in row}


def test_twins_are_trained_once_and_both_have_all_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trained_epochs(monkeypatch) as trained:
        log = ran(tmp_path, TWINS)
    assert len(trained) == len(set(trained)) == 4 * 4, "two trials and two seeds, four epochs each"
    assert sources(log) == {
        TrialKey("twin", phase, n): TrialKey("baseline", phase, n) for phase in ("search", "confirm") for n in range(2)
    }
    results = load(log)
    epochs = table_of_epochs(log)
    mine, other = (
        epochs[epochs["arm"] == arm].drop(columns="arm").reset_index(drop=True) for arm in ("baseline", "twin")
    )
    pd.testing.assert_frame_equal(mine, other)
    for key, source in sources(log).items():
        told = by_key(results)[key] | {"arm": source.arm}
        assert str(told) == str(by_key(results)[source]), "NaN where there is nothing, else the same numbers"
    spent = budget_by_phase(results)
    mine, other = (
        spent[spent["arm"] == arm].drop(columns="arm").reset_index(drop=True) for arm in ("baseline", "twin")
    )
    pd.testing.assert_frame_equal(mine, other)
    header, recorded, _ = recorded_epochs(results, TrialKey("twin", "search", 0))
    assert len(recorded) == 4 and header["machine"]["processor"]


def test_a_limit_counts_what_was_trained(tmp_path: Path) -> None:
    rows, _ = read_log(ran(tmp_path, TWINS))
    total = sum(row["epoch"]["seconds"] for row in rows if row["event"] == "epoch")
    assert Work(rows).trials == pytest.approx(total / 2)


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("arm", ["baseline", "twin"])
def test_twins_that_were_interrupted_go_on(
    arm: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a driver was killed between two rows that a cell is given."""
    whole = ran(tmp_path, TWINS)
    again = tmp_path / "again"
    again.mkdir()
    log = stopped(again, TrialKey(arm, "search", 1), number, TWINS)
    with trained_epochs(monkeypatch) as trained:
        ran(again, TWINS)
    assert_same_results(log, whole)
    # The search is trained up to here but for the epoch that has no checkpoint yet, confirm not at all.
    assert len(trained) == 2 * 4 + (4 if (arm, number) == ("baseline", 1) else 0)


def test_without_a_twin_nothing_is_shared(tmp_path: Path) -> None:
    assert not sources(ran(tmp_path, SMALL))


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_arms_that_draw_for_themselves_hold_other_trials(sampler: str, tmp_path: Path) -> None:
    log = ran(tmp_path, TWINS.replace('"paired"', f'"{sampler}"').replace("seeds = 2", "seeds = 0"))
    assert not sources(log)


# Weights.

WEIGHTS = TWINS.replace("weights = false", "weights = true")


def test_the_weights_of_a_twin_are_kept_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ran(tmp_path, WEIGHTS)
    weights = Checkpoints(log.parent / "weights")
    for n in range(2):
        one, other = (weights.load(TrialKey(arm, "confirm", n)) for arm in ("baseline", "twin"))
        assert one is not None and one == other
    # Where they are gone, or another trial's, the twin is trained: what must be there cannot be given.
    alone = tmp_path / "alone"
    alone.mkdir()
    first = ran(alone, WEIGHTS.replace("twin = {}\n", ""))
    Checkpoints(first.parent / "weights").drop(TrialKey("baseline", "confirm", 0))
    with trained_epochs(monkeypatch) as trained:
        ran(alone, WEIGHTS)
    assert len(trained) == 4 and set(sources(first)) & {TrialKey("twin", "confirm", n) for n in range(2)} == {
        TrialKey("twin", "confirm", 1)
    }
    assert Checkpoints(first.parent / "weights").load(TrialKey("twin", "confirm", 0)) is not None


# A choice that becomes a rival, and one that comes back.


def test_a_choice_that_comes_back_is_not_confirmed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ran(tmp_path, SMALL)
    rows, _ = read_log(log)
    best = dict(load(log).choices.numbers.items())
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path, SMALL.replace("trials = 2", "trials = 1"))
        lowered = len(trained)
        ran(tmp_path, SMALL)
    changed = sum(number != 0 for number in best.values())
    assert lowered == changed * 2 * 4 and len(trained) == lowered, "what was confirmed before is there"
    assert dict(load(log).choices.numbers.items()) == best
    assert len(rows) <= len(read_log(log)[0])


# A phase by itself, with trials in several hands at a time.


A0, B0, A1, B1 = Twins().planned


def phase_of(rows: list[Json], retries: int = 1) -> PhaseController:
    log = Memory(rows)
    return PhaseController(scheduler=Twins(), log=log, retries=retries, trained=Trained(trials_of(rows), log.read))


def given(phase: PhaseController) -> TrialKey | None:
    task = phase.ask()
    return task.key if task else None


def ends(phase: PhaseController, key: TrialKey, outcome: Outcome) -> None:
    phase.take(key, Report(epochs=(epoch(1, 0.5, outcome),)), {})


def test_a_twin_waits_for_the_hands_that_its_trial_is_in() -> None:
    rows: list[Json] = []
    phase = phase_of(rows)
    assert [given(phase), given(phase), given(phase)] == [A0, A1, None]
    ends(phase, A0, finished(0.5))
    assert given(phase) is None and {A0, B0} <= phase.ended, "it is given what the other has when it is asked for next"
    ends(phase, A1, finished(0.5))
    assert given(phase) is None and phase.done
    assert [row["outcome"]["metrics"] for row in rows if row["event"] == "ended"] == [finished(0.5).metrics] * 4


@pytest.mark.parametrize("status", ["failed", "diverged", "pruned"])
def test_what_did_not_end_well_is_trained_for_each(status: Any) -> None:
    phase = phase_of([])
    given(phase)
    phase.end(A0, Outcome(status=status))
    assert given(phase) == B0
    ends(phase, B0, finished(0.5))
    assert given(phase) == A1


def test_after_a_fault_the_first_goes_again_and_when_it_is_lost_the_twin_goes() -> None:
    phase = phase_of([])
    assert [given(phase), given(phase)] == [A0, A1]
    phase.take(A0, Report(epochs=(epoch(1, 0.5),)), {})
    phase.fault(A0, "its node died")
    assert given(phase) == A0 and given(phase) is None
    phase.fault(A0, "its node died")
    assert A0 in phase.ended and given(phase) == B0
    phase.back(B0)
    assert given(phase) == B0


def test_at_any_row_another_driver_goes_on_to_the_same_end() -> None:
    rows: list[Json] = []

    def finish(phase: PhaseController) -> None:
        phase.settle()
        while (key := given(phase)) is not None:
            phase.take(key, Report(epochs=(epoch(1, 0.4),)), {})
            phase.take(key, Report(epochs=(epoch(2, 0.5, finished(0.5)),)), {})

    finish(phase_of(rows))
    told = {tuple(r["cell"]): r["outcome"] for r in rows if r["event"] == "ended"}
    assert len(told) == 4
    for count in range(len(rows)):
        again = rows[:count]
        finish(phase_of(again))
        assert {tuple(r["cell"]): r["outcome"] for r in again if r["event"] == "ended"} == told
        per_key = [(*tuple(r["cell"]), r["epoch"]["number"]) for r in again if r["event"] == "epoch"]
        assert len(per_key) == len(set(per_key)) == 8


# Schedulers that hand out lists.


class Long(Twins):
    """A scheduler of many cells."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._trial = small_trial()
        self.plan(TrialKey("long", "confirm", n) for n in range(count))

    def at(self, key: TrialKey) -> Suggestion:
        return Suggestion(key, self._trial, {})


def test_asking_takes_as_long_for_the_last_cell_as_for_the_first() -> None:
    """Looks at cells are counted, not seconds: a scheduler that looks through all of them does 200 million."""
    scheduler, looks = Long(20_000), itertools.count()

    class Counted(set[TrialKey]):
        def __contains__(self, key: object) -> bool:
            next(looks)
            return super().__contains__(key)

    scheduler._asked = Counted()
    keys = [asked.key for asked in iter(scheduler.ask, None) if asked is not None]
    assert keys == list(scheduler.planned) and len(keys) == 20_004
    assert next(looks) <= 20_004


def test_what_was_asked_before_is_not_handed_out_wherever_it_stands() -> None:
    scheduler = Long(6)
    planned = list(scheduler.planned)
    for key in (planned[0], planned[5], planned[9]):
        scheduler.asked_before(scheduler.at(key))
    scheduler.plan([planned[2], TrialKey("more", "confirm", 0)])
    left = [asked.key for asked in iter(scheduler.ask, None) if asked is not None]
    assert left == [c for c in planned if c not in (planned[0], planned[5], planned[9])] + [
        TrialKey("more", "confirm", 0)
    ]
    scheduler.plan([TrialKey("more", "confirm", 1)])
    asked = scheduler.ask()
    assert asked is not None and asked.key == TrialKey("more", "confirm", 1) and scheduler.ask() is None


def test_what_a_cell_lent_keeps_the_headers_that_it_was_trained_under() -> None:
    """Else a trial of code of before would pass for one of the code under which it was lent."""
    old, new = {"event": "header", "code": "old"}, {"event": "header", "code": "new"}
    ended = {"event": "ended", "outcome": {"status": "ok"}}

    def key(arm: str, **taken: Json | list[Any]) -> list[Json]:
        where = {"cell": [arm, "search", 0]}
        return [{"event": "asked", "id": "x"} | where, {"event": "started", **taken} | where, ended | where]

    rows = [old, *key("first"), new, *key("second", same=["first", "search", 0])]
    assert SAME == "same"
    found = trials_of(rows).found["x"]
    assert found.key.arm == "second"
    assert found.headers == [old, new]
