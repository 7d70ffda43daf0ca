"""What ended badly by itself is the worst of its arm to samplers that learn; older logs resume by their own rule."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from regtune.core.distributions import choices_of
from regtune.core.records import Outcome
from regtune.samplers import SAMPLING, as_worst, frozen, is_bad
from regtune.search.scheduler import Suggestion
from regtune.search.search import SearchScheduler
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import question, suggested, write_log
from tests.resuming import SMALL, ran, read, rows_of
from tests.test_scheduler import epoch, finished, sweep_of

LINE: dict[str, BaseDistribution] = {"m.s": FloatDistribution(0.0, 1.0)}


def searched(rule: int, bad: str, seed: int, good_below: float = 0.3) -> Counter[bool]:
    """Return how many of 40 trials on a line end badly, where all above a threshold do and the best is far below."""
    history: list[FrozenTrial] = []
    ends = Counter[bool]()
    for number in range(40):
        told = history
        if rule == 2:
            told = as_worst(history, {t.number for t in history if t.state is TrialState.FAIL})
        asked = question(LINE, told=told, number=number, sampling=rule)
        params = suggested("tpe", _with_seed(asked, seed))
        is_over = params["m.s"] > good_below
        ends[is_over] += 1
        scores = [] if is_over else [1 - abs(params["m.s"] - 0.1)]
        history.append(frozen(number, params, scores, bad if is_over else "ok", LINE))  # type: ignore[arg-type]  # plain words in tests
    return ends


def _with_seed(asked: Any, seed: int) -> Any:
    return dataclasses.replace(asked, stream=f"sweep/{seed}/arm", sweep=f"sweep/{seed}")


@pytest.mark.parametrize("bad", ["diverged", "failed", "lost"])
def test_tpe_keeps_away_from_where_trials_end_badly(bad: str) -> None:
    """At random 28 of 40 would; told of as failed, as before, more than that do."""
    new, old = ([searched(rule, bad, seed)[True] for seed in range(3)] for rule in (2, 1))
    assert max(new) < 20
    assert min(old) > 28


@pytest.mark.parametrize(
    ("status", "message", "bad"),
    [
        ("diverged", "not a number", True),
        ("failed", "ValueError: boom", True),
        ("lost", "lost to 4 faults of the machine (cluster.retries), the last: OutOfMemoryError: CUDA", True),
        ("lost", "lost to 1 faults of the machine (cluster.retries), the last: MemoryError: ", True),
        ("lost", "the last: Task was killed due to the node running low on memory.", True),
        ("lost", "the last: The actor is dead because its node has died.", False),
        ("pruned", "after epoch 2", False),
        ("ok", "", False),
    ],
)
def test_what_ran_out_of_memory_is_the_trials_own_fault(status: Any, message: str, bad: bool) -> None:
    assert is_bad(Outcome(status=status, message=message)) is bad
    assert not is_bad(None)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["ok", "pruned", "diverged"])), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_the_worst_is_no_better_than_any_other_and_nothing_else_changes(ends: list[tuple[float, Any]]) -> None:
    trials = [frozen(n, {"m.s": 0.5}, [score], status, LINE) for n, (score, status) in enumerate(ends)]
    bad = {n for n, (_, status) in enumerate(ends) if status == "diverged"}
    told = as_worst(trials, bad)
    others = [score for n, (score, _) in enumerate(ends) if n not in bad]
    for trial, before in zip(told, trials, strict=True):
        if trial.number in bad:
            assert trial.state is TrialState.COMPLETE and trial.value == min(others, default=0.0)
            assert trial.params == before.params
        else:
            assert trial is before


def test_tpe_ranks_a_bad_trial_behind_one_that_was_pruned() -> None:
    """Optuna takes whatever is complete for better: with one good trial in ten, a bad one would be the second best."""
    space: dict[str, BaseDistribution] = {"m.s": FloatDistribution(0.0, 1.0)}
    rows = [frozen(0, {"m.s": 0.2}, [0.9], "ok", space), frozen(1, {"m.s": 0.9}, [], "diverged", space)]
    rows += [frozen(n, {"m.s": 0.2 + 0.002 * n}, [0.8], "pruned", space) for n in range(2, 18)]
    drawn = [suggested("tpe", _with_seed(question(space, told=as_worst(rows, {1}), number=18), k)) for k in range(20)]
    assert sum(params["m.s"] > 0.7 for params in drawn) <= 2


def test_where_nearly_all_end_badly_draws_are_at_random() -> None:
    rows = [frozen(n, {"m.s": 0.9 + n / 1000}, [], "failed", LINE) for n in range(12)]
    told = as_worst(rows, set(range(12)))
    drawn = [suggested("tpe", _with_seed(question(LINE, told=told, number=12), k))["m.s"] for k in range(40)]
    assert min(drawn) < 0.2 and max(drawn) > 0.8


# A point is tried once, while there are others.

FEW: dict[str, dict[str, BaseDistribution]] = {
    "choices": {"m.kind": CategoricalDistribution(list("abcdefghij"))},
    "whole": {"m.count": IntDistribution(1, 10)},
    "steps": {"m.share": FloatDistribution(0.1, 1.0, step=0.1)},
    "lists": {"m.places": choices_of([["a"], ["b"]]), "m.count": IntDistribution(1, 5)},
}


@pytest.mark.parametrize("space", FEW.values(), ids=FEW)
def test_a_point_that_was_tried_is_drawn_anew(space: dict[str, BaseDistribution]) -> None:
    """Ten points: the first five are those of paired, of which some may be one; the others are not tried again."""

    def trials(rule: int) -> list[str]:
        history: list[FrozenTrial] = []
        for number in range(9):
            params = suggested("tpe", question(space, told=history, number=number, sampling=rule))
            history.append(frozen(number, params, [0.5 + 0.01 * (number % 3)], "ok", space))
        return [json.dumps(trial.params) for trial in history]

    found = trials(2)
    first = set(found[:5])
    assert len(set(found)) == len(first) + 4
    assert len(set(trials(1))) < len(set(found))


def test_where_all_points_were_tried_one_is_tried_again() -> None:
    space: dict[str, BaseDistribution] = {"m.kind": CategoricalDistribution(["a", "b"])}
    told = [frozen(n, {"m.kind": "ab"[n % 2]}, [0.5], "ok", space) for n in range(6)]
    assert suggested("tpe", question(space, told=told, number=6))["m.kind"] in ("a", "b")


# Logs.

TPE = SMALL.replace('"random"', '"tpe"').replace("trials = 2", "trials = 8").replace("seeds = 2", "seeds = 0")


def test_the_header_has_the_rule_of_samplers_that_learn_and_of_no_others(tmp_path: Path) -> None:
    assert read(tmp_path, TPE).plain()["search"]["sampling"] == SAMPLING
    assert "sampling" not in read(tmp_path, SMALL).plain()["search"]


def as_of_before(rows: list[Any]) -> list[Any]:
    """Return rows as a version wrote them that did not know of the rule."""
    return [
        {
            **row,
            "sweep": {**row["sweep"], "search": {k: v for k, v in row["sweep"]["search"].items() if k != "sampling"}},
        }
        if row["event"] == "header"
        else row
        for row in rows
    ]


def asked_next(sweep: Sweep, count: int) -> list[Any]:
    """Return the knobs of an arm's trials whose scores fall with the rate, and which diverge where it is high."""
    scheduler, found = SearchScheduler(sweep), list[Any]()
    while (asked := scheduler.ask()) is not None and len(found) < count:
        rate = asked.params["optimizer.learning_rate"]
        if asked.key.arm == "baseline":
            found.append(rate)
        scheduler.tell(asked.key, epoch(1, 1 - rate))
        good = rate < 0.02
        scheduler.end(asked.key, finished(1 - rate) if good else Outcome(status="diverged", message="not a number"))
    return found


def test_a_log_of_before_goes_on_as_it_would_have(tmp_path: Path) -> None:
    new = sweep_of(tmp_path, trials=20, sampler="tpe", pruner="none")
    header = {"event": "header", "sweep": json.loads(json.dumps(new.plain()))}
    old = new.as_in(as_of_before([header]))
    assert (old.sampling, new.as_in([header]).sampling, new.as_in([]).sampling) == (1, SAMPLING, SAMPLING)
    assert "sampling" not in old.plain()["search"], "its further headers say the same"
    by_old, by_new = asked_next(old, 20), asked_next(new, 20)
    assert by_old[:5] == by_new[:5] and by_old != by_new
    assert sum(rate >= 0.02 for rate in by_new) < sum(rate >= 0.02 for rate in by_old)
    history = [frozen(n, {"optimizer.learning_rate": r}, [1 - r], "ok" if r < 0.02 else "diverged",
                      new.arms[0].space) for n, r in enumerate(by_old[:9])]  # fmt: skip
    asked = question(new.arms[0].space, told=history, number=9, sampling=1)
    stream = f"{new.name}/{new.seed}"
    by_hand = suggested("tpe", dataclasses.replace(asked, stream=f"{stream}/baseline", sweep=stream))
    assert by_hand["optimizer.learning_rate"] == by_old[9]


def test_a_finished_log_of_before_is_run_again_and_extended_by_its_own_rule(tmp_path: Path) -> None:
    log = ran(tmp_path, TPE)
    write_log(log, as_of_before(read_log(log)[0]))
    before = log.read_bytes()
    ran(tmp_path, TPE)
    assert log.read_bytes() == before
    ran(tmp_path, TPE.replace("trials = 8", "trials = 9"))
    assert [row["sweep"]["search"].get("sampling") for row in rows_of(log, "header")] == [None, None]
    assert len(rows_of(log, "asked")) == 18


def test_a_trial_that_runs_is_not_told_as_bad(tmp_path: Path) -> None:
    scheduler = SearchScheduler(sweep_of(tmp_path, sampler="tpe", pruner="none"))
    asked = scheduler.ask()
    assert isinstance(asked, Suggestion)
    arm = scheduler.arms["baseline"]
    assert [trial.state for trial in arm._history()] == [TrialState.RUNNING]
    scheduler.end(asked.key, Outcome(status="failed", message="boom"))
    assert [(trial.state, trial.value) for trial in arm._history()] == [(TrialState.COMPLETE, 0.0)]
