"""Lanes change neither what a pruner decides of the reports that it gets, nor the shapes of the program that trains.

Whose report comes first depends on the width, and a pruner that compares a trial with those before it may then decide
otherwise. What holds at every width: the decisions are those of one scheduler that is told the same reports in the same
order, every trial is decided once at each of its epochs, and a pruner that looks at one trial alone ends the same ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from regtune.core.records import Epoch, TrialKey
from regtune.execution import lane_work
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneQueue, LaneReport, LaneTerms, OpenLane, PhaseJob
from regtune.execution.lane_work import OwnSplits
from regtune.execution.trial_queue import Task
from regtune.search.search import SearchScheduler
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.lane import Lane
from tests.conftest import SWEEP, small_trial
from tests.curves import recorded
from tests.schedulers import Rows
from tests.test_scheduler import epoch, finished

EPOCHS = 6
PLAN = ReportPlan(rungs=(), checkpoint_seconds=1e9, trial_seconds=None, weights=False)


def sweep_of(folder: Path, pruner: str) -> Sweep:
    text = SWEEP.replace("trials = 4", "trials = 40").replace("population = 1", pruner)
    (folder / "replayed.toml").write_text(text.replace("validation = 32", "validation = 397"))
    return Sweep.read(folder / "replayed.toml")


def told(key: TrialKey, number: int) -> Epoch:
    """Return an epoch of the curve that belongs to a trial."""
    arms = {"baseline": 0, "dropout": 300, "mixup": 600}
    score = recorded()[arms[key.arm] + key.number][number - 1]
    return epoch(number, score, finished(score) if number == EPOCHS else None)


def decided(folder: Path, sweep: Sweep, width: int) -> list[tuple[TrialKey, int, str]]:
    """Return what was decided, in order, of trials that report side by side in lanes of a width."""
    phase = PhaseController(scheduler=SearchScheduler(sweep), log=Rows(folder / "log.jsonl"), retries=0)
    data, done = load_data(small_trial()), dict[TrialKey, int]()
    queue = LaneQueue(PhaseJob(controller=phase, data=data, plan=PLAN, terms=LaneTerms(width=width)))
    found: list[tuple[TrialKey, int, str]] = []
    while (work := queue.begin()) is not None:
        lane = OpenLane(queue, work)
        while lane.open:
            going = {key: told(key, done.get(key, 0) + 1) for key in lane.open}
            ended = sum(each.outcome is not None for each in going.values())
            reports = [(key, Report(epochs=(each,))) for key, each in going.items()]
            free = width - len(going) + ended
            answer = lane.exchange(LaneReport(width=width, reports=reports, free=free), {})
            done |= {key: each.number for key, each in going.items()}
            found += [(key, each.number, "stop" if key in answer.stopped else "go") for key, each in going.items()]
        lane.end()
    return found


def by_one_scheduler(sweep: Sweep, reports: list[tuple[TrialKey, int, str]]) -> list[tuple[TrialKey, int, str]]:
    """Return what a scheduler decides that is told the same, one after the other."""
    scheduler = SearchScheduler(sweep)
    while scheduler.ask() is not None:
        pass
    found: list[tuple[TrialKey, int, str]] = []
    for key, number, _ in reports:
        found.append((key, number, scheduler.tell(key, told(key, number))))
    return found


@pytest.mark.parametrize("pruner", ["asha", "epochs", "cautious"])
def test_decisions_are_those_of_one_scheduler_at_every_width(tmp_path: Path, pruner: str) -> None:
    terms = {"asha": "factor = 2.0\npopulation = 1", "epochs": "stop_after = 3", "cautious": "factor = 2.0"}
    sweep = sweep_of(tmp_path, f'pruner = "{pruner}"\n{terms[pruner]}')
    stops: list[set[tuple[TrialKey, int]]] = []
    for width in (1, 8, 64):
        reports = decided(tmp_path, sweep, width)
        assert reports == by_one_scheduler(sweep, reports)
        assert {key for key, number, _ in reports if number == 1} == set(SearchScheduler(sweep).planned)
        assert len({(key, number) for key, number, _ in reports}) == len(reports), "each epoch is told once"
        stops.append({(key, number) for key, number, what in reports if what == "stop"})
    if pruner == "epochs":
        assert stops[0] == stops[1] == stops[2]
        assert stops[0]
    assert pruner != "asha" or all(stops)


def test_shapes_stay_as_they_are_while_members_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled or captured by shapes would never be made anew."""
    tasks = [
        Task(key=TrialKey("a", "search", seed), trial=small_trial(seed=seed), resume=None, avoid=())
        for seed in range(9)
    ]
    slots, seen = lane_work._Slots(OwnSplits(load_data(tasks[0].trial)), 4, PLAN), list[Any]()
    original = Lane.step

    def noted(lane: Lane, state: Any, update: Any, places: Tensor, *more: Any) -> Any:
        leaves = tree_leaves((state, lane.knobs, lane._seeds, update.step, update.progress, places))
        seen.append([(leaf.shape, leaf.dtype, leaf.stride()) for leaf in leaves if isinstance(leaf, torch.Tensor)])
        return original(lane, state, update, places, *more)

    monkeypatch.setattr(Lane, "step", noted)
    slots.fill(tasks[:3])
    slots.epoch()
    slots.fill(tasks[3:4])
    slots.epoch()
    slots.stop([tasks[1].key, tasks[3].key])
    slots.epoch()
    slots.fill(tasks[4:6])
    slots.epoch()
    slots.told()
    slots.fill(tasks[6:8])
    slots.epoch()
    assert {str(one) for one in seen} == {str(seen[0])}
