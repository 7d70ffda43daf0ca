"""The scheduler of search: turns, pruning as Ray's ASHA does it, and answers that are a function of the log."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler

from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.samplers import SAMPLERS
from regtune.search.confirm import ConfirmScheduler
from regtune.search.scheduler import Suggestion
from regtune.search.search import SearchScheduler, TrialState
from regtune.search.select import SelectScheduler, best_first
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP

EPOCHS = 27


def sweep_of(folder: Path, **search: Any) -> Sweep:
    text = SWEEP.replace("epochs = 6", f"epochs = {EPOCHS}")
    for name, value in {"pruner": "asha", **search}.items():
        line = f"{name} = {value!r}".replace("'", '"')
        start = next((row for row in text.splitlines() if row.startswith(f"{name} = ")), None)
        text = text.replace(start, line) if start else text.replace("[search]", f"[search]\n{line}")
    path = folder / "scheduler.toml"
    path.write_text(text)
    return Sweep.read(path)


def epoch(number: int, accuracy: float, outcome: Outcome | None = None) -> Epoch:
    return Epoch(
        number=number, objective=1.0, train_accuracy=0.5, train_loss=1.0, val_accuracy=accuracy, val_loss=1 - accuracy,
        learning_rate=0.1, kept=number, seconds=0.0, outcome=outcome,
    )  # fmt: skip


def finished(accuracy: float, loss: float = 0.5) -> Outcome:
    return Outcome(status="ok", kept=1, metrics={"val_accuracy": accuracy, "val_loss": loss})


def test_arms_take_turns_until_the_budget_is_spent(tmp_path: Path) -> None:
    scheduler = SearchScheduler(sweep_of(tmp_path, trials=3))
    keys = []
    while (asked := scheduler.ask()) is not None:
        keys.append(asked.key)
    assert keys == [TrialKey(arm, "search", n) for n in range(3) for arm in ("baseline", "dropout", "mixup")]
    assert keys == list(scheduler.planned)


def test_one_seed_per_number_is_shared_by_all_arms_and_never_by_confirm(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path)
    scheduler = SearchScheduler(sweep)
    seeds = {(asked.key.number, asked.trial.seed) for asked in iter(scheduler.ask, None) if asked}
    assert seeds == {(n, n) for n in range(4)}
    assert {sweep.confirm_seed(n) for n in range(3)}.isdisjoint(range(4))


def test_rungs_start_after_the_grace_and_end_before_the_last_epoch(tmp_path: Path) -> None:
    assert sweep_of(tmp_path, grace=0.2).pruner.rungs(27) == (6, 18)
    assert sweep_of(tmp_path, grace=0.2, factor=2.0).pruner.rungs(30) == (6, 12, 24)
    assert sweep_of(tmp_path, grace=1.0).pruner.rungs(27) == ()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([2.0, 2.5, 3.0, 4.0]))
def test_decisions_are_those_of_rays_asha_call_by_call(
    tmp_path_factory: pytest.TempPathFactory, seed: int, factor: float
) -> None:
    """40 random curves, up to four trials interleaved; with several arms, one such scheduler per arm."""
    draws = random.Random(seed)
    sweep = sweep_of(tmp_path_factory.mktemp("asha"), trials=20, population=1, factor=factor)
    scheduler = SearchScheduler(sweep)
    peers = {
        arm.name: AsyncHyperBandScheduler(
            time_attr="epoch", metric="score", mode="max", max_t=EPOCHS, grace_period=6,
            reduction_factor=factor, stop_last_trials=False,
        )
        for arm in sweep.arms
    }  # fmt: skip
    running: dict[TrialKey, int] = {}
    decisions = Counter[str]()
    while True:
        while len(running) < 4 and (asked := scheduler.ask()) is not None:
            running[asked.key] = 0
            peers[asked.key.arm].on_trial_add(None, _Named(str(asked.key)))
        if not running:
            break
        key = draws.choice(list(running))
        running[key] += 1
        score = draws.choice([0.1, 0.5, 0.5, draws.random()])  # ties are common
        last = running[key] == EPOCHS
        ours = scheduler.tell(key, epoch(running[key], score, finished(score) if last else None))
        result = {"epoch": running[key], "score": score}
        theirs = peers[key.arm].on_trial_result(None, _Named(str(key)), result)
        if not last:
            assert ours == ("stop" if theirs == "STOP" else "go")
            decisions[ours] += 1
        if ours == "stop" or last:
            scheduler.end(key, Outcome(status="pruned") if ours == "stop" else finished(score))
            del running[key]
    assert decisions["stop"] > 0


class _Named:
    def __init__(self, name: str) -> None:
        self.trial_id = name


def test_nobody_is_pruned_before_a_rung_has_its_population(tmp_path: Path) -> None:
    scheduler = SearchScheduler(sweep_of(tmp_path, trials=5, population=3))
    decisions = []
    for number in range(5):
        key = TrialKey("mixup", "search", number)
        scheduler.asked_before(Suggestion(key, scheduler.arms["mixup"].arm.template, {}))
        decisions.append([scheduler.tell(key, epoch(e, 0.9 - number / 10)) for e in range(1, 7)][-1])
    assert decisions == ["go", "go", "go", "stop", "stop"]


def test_an_arm_is_pruned_against_itself_only(tmp_path: Path) -> None:
    scheduler = SearchScheduler(sweep_of(tmp_path, population=1))
    for number, arm, accuracy in ((0, "baseline", 0.9), (1, "baseline", 0.95), (0, "mixup", 0.1)):
        key = TrialKey(arm, "search", number)
        scheduler.asked_before(Suggestion(key, scheduler.arms[arm].arm.template, {}))
        assert [scheduler.tell(key, epoch(e, accuracy)) for e in range(1, 7)][-1] == "go"


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.all()))
def test_a_scheduler_rebuilt_from_any_prefix_answers_as_the_live_one(tmp_path: Path, sampler: str) -> None:
    sweep, draws = sweep_of(tmp_path, trials=14, sampler=sampler), random.Random(3)
    live, told = SearchScheduler(sweep), list[tuple[str, Any]]()
    while (asked := live.ask()) is not None:
        rebuilt = SearchScheduler(sweep)
        for kind, values in told:
            getattr(rebuilt, kind)(*values)
        assert rebuilt.ask() == asked
        told.append(("asked_before", (asked,)))
        for number in range(1, EPOCHS + 1):
            accuracy = draws.random()
            outcome = finished(accuracy) if number == EPOCHS else None
            decision = live.tell(asked.key, epoch(number, accuracy, outcome))
            assert rebuilt.tell(asked.key, epoch(number, accuracy, outcome)) == decision
            told.append(("tell", (asked.key, epoch(number, accuracy, outcome))))
            if decision == "stop":
                outcome = Outcome(status="pruned")
            if outcome is not None:
                live.end(asked.key, outcome)
                told.append(("end", (asked.key, outcome)))
                break


def test_the_best_unpruned_trial_is_chosen_and_ties_are_broken() -> None:
    def entry(accuracy: float, loss: float, status: str = "ok") -> TrialState:
        outcome = Outcome(status=status, metrics={"val_accuracy": accuracy, "val_loss": loss})  # type: ignore[arg-type]  # plain words in tests
        return TrialState(params={}, outcome=outcome)

    assert best_first({0: entry(0.8, 0.5), 1: entry(0.9, 0.5), 2: entry(0.99, 0.1, "pruned")}, {"ok"})[0][0] == 1
    assert best_first({0: entry(0.9, 0.5), 1: entry(0.9, 0.4)}, {"ok"})[0][0] == 1
    assert best_first({0: entry(0.9, 0.4), 1: entry(0.9, 0.4)}, {"ok"})[0][0] == 0
    assert best_first({0: entry(0.9, 0.4, "failed"), 1: TrialState(params={})}, {"ok"}) == []


def test_confirm_hands_out_seed_by_seed_with_the_chosen_knobs(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path)
    search = SearchScheduler(sweep)
    for asked in iter(search.ask, None):
        if asked is not None:
            status = "failed" if asked.key.arm == "mixup" else "ok"
            metrics = {"val_accuracy": asked.key.number / 10, "val_loss": 1.0}
            search.tell(asked.key, epoch(1, asked.key.number / 10))
            search.end(asked.key, Outcome(status=status, metrics=metrics))  # type: ignore[arg-type]  # plain words in tests
    scheduler = ConfirmScheduler(sweep, SelectScheduler(sweep, search), lambda ended: None)
    asked_all = [asked for asked in iter(scheduler.ask, None) if asked is not None]
    assert [a.key for a in asked_all] == [
        TrialKey(arm, "confirm", n) for n in range(3) for arm in ("baseline", "dropout")
    ]
    assert all(a.params == search.arms[a.key.arm].entries[3].params for a in asked_all)
    assert {a.trial.phase for a in asked_all} == {"confirm"}
    assert asked_all[0].trial.seed == asked_all[1].trial.seed != asked_all[2].trial.seed
