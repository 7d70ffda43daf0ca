"""Pruners: ASHA is Ray's, call by call; stopping all after a few epochs chooses at that point."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler
from rich.console import Console

from regtune.analysis.comparison import comparison
from regtune.cli.plan import plan_table
from regtune.cli.progress import Progress
from regtune.core.knobs import Interval, knobs
from regtune.core.metric import ACCURACY
from regtune.core.records import Outcome, TrialKey
from regtune.execution.run import run
from regtune.pruners import PRUNERS, FixedEpochs, Ladder
from regtune.pruners._rungs import percentile
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import Results, load
from regtune.search.search import SearchScheduler, TrialState
from regtune.search.select import best_first
from regtune.sweep.schema import SearchConfig
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.curves import recorded
from tests.test_scheduler import EPOCHS, epoch, finished, sweep_of

ALL = FixedEpochs.finishes


class Named:
    def __init__(self, name: str) -> None:
        self.trial_id = name


@pytest.mark.parametrize(("arms", "factor"), [(1, 3.0), (1, 2.0), (3, 3.0), (3, 2.5)])
def test_decisions_on_1000_recorded_curves_are_those_of_rays_asha_call_by_call(
    tmp_path: Path, arms: int, factor: float
) -> None:
    """Eight trials run at a time, in a random order; with several arms, one such scheduler for each."""
    curves, draws = recorded(), random.Random(arms)
    assert (len(curves), {len(curve) for curve in curves}) == (1000, {EPOCHS})
    sweep = sweep_of(tmp_path, trials=-(-1000 // arms), population=1, factor=factor)
    scheduler = SearchScheduler(sweep.model_copy(update={"arms": sweep.arms[:arms]}))
    peers = {
        arm: AsyncHyperBandScheduler(
            time_attr="epoch", metric="score", mode="max", max_t=EPOCHS, grace_period=6,
            reduction_factor=factor, stop_last_trials=False,
        )
        for arm in scheduler.arms
    }  # fmt: skip
    left = draws.sample(curves, len(curves))
    running: dict[TrialKey, tuple[list[float], int]] = {}
    decisions = Counter[tuple[str, int]]()
    while left or running:
        while left and len(running) < 8:
            asked = scheduler.ask()
            assert asked is not None
            running[asked.key] = left.pop(), 0
            peers[asked.key.arm].on_trial_add(None, Named(str(asked.key)))
        key = draws.choice(list(running))
        curve, done = running[key]
        score, number, last = curve[done], done + 1, done + 1 == EPOCHS
        ours = scheduler.tell(key, epoch(number, score, finished(score) if last else None))
        theirs = peers[key.arm].on_trial_result(None, Named(str(key)), {"epoch": number, "score": score})
        decisions[ours, number] += 1
        running[key] = curve, number
        if last:
            assert ours == "go"
        else:
            assert ours == ("stop" if theirs == "STOP" else "go")
        if last or ours == "stop":
            scheduler.end(key, finished(score) if last else Outcome(status="pruned"))
            del running[key]
    stopped = {number: count for (decision, number), count in decisions.items() if decision == "stop"}
    assert set(stopped) == set(sweep.pruner.rungs(EPOCHS)) and sum(stopped.values()) > 500


def test_workers_report_where_a_trial_may_end(tmp_path: Path) -> None:
    assert sweep_of(tmp_path, pruner="asha").pruner.rungs(27) == (6, 18)
    assert sweep_of(tmp_path, pruner="none").pruner.rungs(27) == ()
    assert sweep_of(tmp_path, pruner="epochs", stop_after=4).pruner.rungs(27) == (4,)


# Every search trial is stopped after a few epochs.


def early(folder: Path, **search: Any) -> Sweep:
    text = SWEEP.replace(
        "baseline = {}", "baseline = {}\ndecay = { linear_decay = {} }\nstopping = { early_stopping = {} }"
    )
    for name, value in {"pruner": "epochs", "stop_after": 2, **search}.items():
        text = text.replace("[select]", f"{name} = {json.dumps(value)}\n[select]")
    path = folder / "early.toml"
    path.write_text(text)
    return Sweep.read(path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("early")
    return load(run(early(folder), folder, in_process=True))


def test_every_search_trial_ends_there_as_pruned_and_says_so(results: Results) -> None:
    searched = results.trials[results.trials["phase"] == "search"]
    assert len(searched) == 20
    assert set(searched["status"]) == {"pruned"}
    assert set(searched["epochs"]) == {2}
    assert set(searched["message"]) == {"after epoch 2 every search trial is stopped, good or bad"}


def test_the_epochs_before_are_those_of_the_whole_budget(results: Results, tmp_path: Path) -> None:
    """Learning-rate schedules too: every number is that of the trial that goes on."""
    file = tmp_path / "early.toml"
    early(tmp_path)
    file.write_text(file.read_text().replace('pruner = "epochs"', 'pruner = "none"').replace("stop_after = 2", ""))
    whole = load(run(Sweep.read(file), tmp_path, in_process=True)).epochs
    both = results.epochs.merge(whole, on=["arm", "phase", "number", "epoch"])
    both = both[both["phase"] == "search"]
    assert len(both) == 40
    for name in ("learning_rate", "objective", "val_loss", "kept"):
        assert (both[f"{name}_x"] == both[f"{name}_y"]).all()


def test_confirm_takes_the_best_at_that_point_and_trains_it_in_full(results: Results) -> None:
    confirmed = results.trials[results.trials["phase"] == "confirm"]
    assert set(confirmed["epochs"]) <= {6} | set(confirmed[confirmed["arm"] == "stopping"]["epochs"])
    assert len(confirmed) == 15
    table = dict(comparison(results)[["arm", "knobs"]].to_numpy().tolist())
    for arm, trials in results.trials.groupby("arm"):
        searched = dict(trials[trials["phase"] == "search"][["number", "params"]].to_numpy().tolist())
        curves = results.epochs[(results.epochs["arm"] == arm) & (results.epochs["phase"] == "search")]
        kept = {n: curve.set_index("epoch").loc[curve["kept"].iloc[-1]] for n, curve in curves.groupby("number")}
        best = min(kept, key=lambda n: (-kept[n]["val_accuracy"], kept[n]["val_loss"], n))
        assert all(params == searched[best] for params in trials[trials["phase"] == "confirm"]["params"])
        assert json.loads(table[arm]) == searched[best]


def test_tables_and_plans_name_the_pruner(results: Results, tmp_path: Path) -> None:
    shown = markdown(tables(results))
    assert "4 trials per arm of at most 6 epochs; every trial is stopped after epoch 2 and judged there." in shown
    console = Console(record=True, width=200)
    console.print(plan_table(early(tmp_path)))
    said = console.export_text()
    assert "35 trials, at most 130 epochs; every search trial stops after epoch: 2" in said
    assert Progress(early(tmp_path)).sweep.most_epochs("search") == 2


def test_the_best_at_the_kept_epoch_is_chosen_and_ties_are_broken() -> None:
    def entry(*accuracies: float, kept: int, loss: float = 0.5, status: str = "pruned") -> TrialState:
        epochs = [epoch(number, accuracy) for number, accuracy in enumerate(accuracies, start=1)]
        epochs = [type(e)(**{**vars(e), "kept": min(kept, e.number), "val_loss": loss}) for e in epochs]
        outcome = Outcome(status=status, metrics={"val_accuracy": accuracies[kept - 1], "val_loss": loss})  # type: ignore[arg-type]  # plain words in tests
        state = TrialState(params={}, outcome=outcome if status == "ok" else Outcome(status="pruned"))
        for one in epochs:
            state.take(ACCURACY.score(one.val_accuracy), one.val_loss, kept=one.kept == one.number)
        return state

    assert best_first({0: entry(0.8, 0.7, kept=1), 1: entry(0.1, 0.79, kept=2)}, ALL)[0][0] == 0
    assert best_first({0: entry(0.8, kept=1), 1: entry(0.9, kept=1, status="ok")}, ALL)[0][0] == 1
    assert best_first({0: entry(0.8, kept=1, loss=0.6), 1: entry(0.8, kept=1)}, ALL)[0][0] == 1
    assert best_first({0: entry(0.8, kept=1), 1: entry(0.8, kept=1)}, ALL)[0][0] == 0
    assert best_first({0: entry(0.8, kept=1), 1: entry(0.1, kept=1, status="ok")}, {"ok"})[0][0] == 1
    assert best_first({0: entry(0.8, kept=1)}, {"ok"}) == []
    assert best_first({0: TrialState(params={}, outcome=Outcome(status="failed"))}, ALL) == []


def test_a_stop_at_the_last_epoch_is_the_end(tmp_path: Path) -> None:
    log = run(early(tmp_path, stop_after=6), tmp_path, in_process=True)
    searched = load(log).trials.query("phase == 'search'")
    assert set(searched["status"]) == {"ok"}


def test_the_settings_of_pruners_are_those_of_a_sweep_file_with_the_same_defaults_and_bounds() -> None:
    assert list(PRUNERS.all()) == ["asha", "cautious", "epochs", "none"]
    found = {k.name: k for cls in PRUNERS.all().values() for k in knobs(cls).values()}
    assert found.keys() == {"grace", "factor", "population", "stop_after"}
    schema = SearchConfig.model_json_schema()["properties"]
    for name, k in found.items():
        bounds = schema[name] if name != "stop_after" else schema[name]["anyOf"][0] | {"maximum": 1e6, "default": 1}
        assert isinstance(k.legal, Interval)
        assert (k.legal.low, k.legal.high, k.default) == (bounds["minimum"], bounds["maximum"], bounds["default"])


@given(
    scores=st.lists(st.floats(-1e6, 1.0) | st.sampled_from([0.5, 0.0]), min_size=1, max_size=40),
    factor=st.floats(1.1, 100),
)
@settings(deadline=None)
def test_a_cut_is_numpy_s_percentile_bit_for_bit(scores: list[float], factor: float) -> None:
    percent = (1 - 1 / factor) * 100
    assert percentile(sorted(scores), percent) == np.percentile(scores, percent) == np.nanpercentile(scores, percent)


def test_ranks_of_many_trials_are_measured_anew_when_there_are_a_twentieth_more() -> None:
    draws, ladder, said = random.Random(0), Ladder([1]), list[int]()
    for number in range(300):
        ladder.take(number, epoch(1, 0.5), draws.random())
        ladder.take(number, epoch(2, 0.5, finished(0.5)), draws.random())
        said.append(ladder.rung(1).n)
    assert said[:200] == [*range(1, 201)], "up to 200 each counts at once"
    assert sorted(set(said[199:])) == [200, 210, 221, 233, 245, 258, 271, 285, 300]
    for number in range(20):
        ladder.forget(number)
    assert ladder.rung(1).n == 280, "what is taken back counts no more"
