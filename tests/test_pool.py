"""The pool of workers on a cluster, without Ray: who gets which lane, for all phases of a sweep."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from regtune.core.records import Outcome
from regtune.data import Pool, Splits
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneAnswer, LaneReport, LaneTerms, PhaseJob
from regtune.execution.ray import pool as pools
from regtune.execution.ray.nodes import Need
from regtune.execution.ray.pool import SECONDS_IDLE, Assignment, LanePool
from regtune.execution.trial_queue import Task
from regtune.training.build import load_data
from tests.conftest import small_trial
from tests.schedulers import Rows, Singles

PLAN = ReportPlan(rungs=(), checkpoint_seconds=60.0, trial_seconds=None, weights=False)


class Cluster:
    """A pool whose workers are played by hand: `sent` has what each was sent, `now` is the clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **terms: Any) -> None:
        self.sent, self.published, self.now = dict[str, list[Any]](), list[int](), 0.0
        self.nodes = {"a": 1, "b": 1}
        self.log = Rows(folder / "log.jsonl")
        self._plan = terms.pop("plan", PLAN)
        self._terms = LaneTerms(width=terms.pop("width", 2), ahead=terms.pop("ahead", True))
        self._counts = terms.pop("counts", (2, 2))
        monkeypatch.setattr(pools, "capacity", lambda need: dict(self.nodes))
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        need = Need(cpus=1, gpus=0.0)
        self.pool = LanePool(
            self.jobs(), need, pending=terms.pop("pending", 0), send=self.send, publish=self.publish, **terms
        )

    def jobs(self) -> Iterator[PhaseJob]:
        data: Splits | Pool = load_data(small_trial())
        for seed, count in enumerate(self._counts):
            scheduler = Singles("search" if seed == 0 else "select", count)
            phase = PhaseController(scheduler=scheduler, log=self.log, retries=1)
            yield PhaseJob(controller=phase, data=data, plan=self._plan, terms=self._terms)
            assert phase.done

    def send(self, name: str, message: Assignment | LaneAnswer | None) -> None:
        self.sent.setdefault(name, []).append(message)

    def publish(self, number: int, job: PhaseJob) -> None:
        self.published.append(number)

    def hello(self, name: str, node: str = "a") -> Any:
        """Have a worker say that it has no lane; return what it was sent last."""
        self.pool.told(name, None, {"node": node})
        return self.sent.get(name, [None])[-1]

    def work(self, name: str, assignment: Assignment, node: str = "a") -> Any:
        """Have a worker end all trials of its lane and ask for the next; return that."""
        tasks: Sequence[Task] = assignment.work.tasks
        width = assignment.work.width or 1
        while tasks:
            reports = [(task.key, Report(outcome=Outcome(status="ok"))) for task in tasks]
            self.pool.told(name, LaneReport(width=width, reports=reports, free=width), {"node": node})
            answer = self.sent[name][-1]
            assert isinstance(answer, LaneAnswer)
            tasks = answer.tasks
        return self.hello(name, node)

    def ended(self) -> int:
        return len([row for row in self.log.rows if row["event"] == "ended"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_workers_stay_from_phase_to_phase_and_end_with_the_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(4, 2))
    assert cluster.pool.hire("one") == []
    assert cluster.pool.hire("two") == []
    assert cluster.pool.hire("three") is None, "two fit"
    first, second = cluster.hello("one"), cluster.hello("two", "b")
    assert (first.phase, second.phase) == (1, 1)
    assert {task.key for task in first.work.tasks}.isdisjoint(task.key for task in second.work.tasks)
    assert isinstance(cluster.work("one", first), LaneAnswer), "the phase is not over: it is sent nothing, and waits"
    cluster.work("two", second, "b")
    assert cluster.published == [1, 2]
    assert cluster.sent["one"][-1].phase == 2, "the longest there is asked first"
    assert isinstance(cluster.sent["two"][-1], LaneAnswer)
    cluster.work("one", cluster.sent["one"][-1])
    assert cluster.pool.over
    assert cluster.sent["one"][-1] is cluster.sent["two"][-1] is None
    assert cluster.sent["one"].count(None) == cluster.sent["two"].count(None) == 1
    assert cluster.ended() == 6


def test_no_more_workers_than_lanes_are_hired(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(2, 2))
    cluster.nodes = {"a": 64}
    cluster.now += 10
    assert cluster.pool.hire("one") == []
    assert cluster.pool.hire("two") is None, "two trials are one lane"


def test_who_waits_for_room_keeps_nothing_waiting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(6, 1), pending=1)
    for name in ("one", "two", "three"):
        cluster.pool.hire(name)
    given = cluster.hello("one")
    while isinstance(given, Assignment):
        given = cluster.work("one", given)
    assert cluster.pool.over
    assert cluster.ended() == 7
    assert cluster.hello("three") is None, "it comes when all is over, and is sent away"


def test_a_dead_worker_gives_its_trials_back_once_and_they_are_lost_after_the_retries(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(1,), width=1)
    for name, node in (("one", "a"), ("two", "b")):
        cluster.pool.hire(name)
        assert isinstance(cluster.hello(name, node), Assignment)
        cluster.pool.died(name, "its node went", node)
        cluster.pool.leave(name)
    faults = [row for row in cluster.log.rows if row["event"] == "fault"]
    assert [row["node"] for row in faults] == ["a", "b"]
    assert [row["outcome"]["status"] for row in cluster.log.rows if row["event"] == "ended"] == ["lost"]


def test_a_trial_that_met_a_fault_goes_to_another_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(1,), width=1)
    cluster.pool.hire("one")
    assert isinstance(cluster.hello("one", "a"), Assignment)
    cluster.pool.died("one", "its worker died", "a")
    cluster.pool.leave("one")
    assert cluster.pool.hire("two") == ["a"], "there is another node"
    assert not isinstance(cluster.hello("two", "a"), Assignment), "not there"
    assert isinstance(cluster.hello("two", "b"), Assignment)


def test_a_trial_that_hangs_has_ended_and_of_several_each_goes_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ReportPlan(rungs=(), checkpoint_seconds=60.0, trial_seconds=5.0, weights=False)
    cluster = Cluster(folder, monkeypatch, counts=(2,), plan=plan)
    cluster.pool.hire("one")
    assert len(cluster.hello("one").work.tasks) == 2
    cluster.now += 11
    cluster.pool.died("one", "", "a")
    cluster.pool.leave("one")
    assert not [row for row in cluster.log.rows if row["event"] == "fault"]
    cluster.pool.hire("two")
    assert len(cluster.hello("two").work.tasks) == 1
    cluster.now += 6
    cluster.pool.died("two", "", "a")
    messages = [row["outcome"]["message"] for row in cluster.log.rows if row["event"] == "ended"]
    assert len(messages) == 1
    assert messages[0].startswith("it ran for longer than its limit")


def test_a_worker_without_work_gives_its_place_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(4, 2))
    for name in ("one", "two"):
        cluster.pool.hire(name)
    first, _ = cluster.hello("one"), cluster.hello("two")
    cluster.work("one", first)
    cluster.now += SECONDS_IDLE + 1
    cluster.pool.release_idle()
    assert cluster.sent["one"][-1] is None
    assert cluster.sent["two"][-1] is not None


def test_a_trial_alone_that_was_offered_among_many_hangs_for_its_own_limit_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ReportPlan(rungs=(), checkpoint_seconds=60.0, trial_seconds=5.0, weights=False)
    cluster = Cluster(folder, monkeypatch, counts=(8,), width=None, plan=plan)
    cluster.nodes = {"a": 1}
    cluster.now += 10
    cluster.pool.hire("one")
    tasks = cluster.hello("one").work.tasks
    assert len(tasks) > 2
    cluster.pool.told("one", LaneReport(width=1, back=[task.key for task in tasks[1:]]), {"node": "a"})
    cluster.now += 6
    cluster.pool.died("one", "", "a")
    assert [row["outcome"]["status"] for row in cluster.log.rows if row["event"] == "ended"] == ["failed"]


def test_where_one_waits_for_another_node_the_others_train_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(4,), width=1, ahead=False)
    cluster.pool.hire("one")
    first = cluster.hello("one", "a")
    cluster.pool.died("one", "its worker died", "a")
    cluster.pool.leave("one")
    cluster.pool.hire("two")
    second = cluster.hello("two", "a")
    assert isinstance(second, Assignment)
    assert second.work.tasks[0].key != first.work.tasks[0].key


def test_as_many_workers_as_there_are_trials_are_hired_at_once_where_results_decide_what_comes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(3,), width=1, ahead=False)
    cluster.nodes = {"a": 16}
    cluster.now += 10
    assert [cluster.pool.hire(name) for name in "abcde"] == [[], [], [], None, None]


def test_who_trains_on_where_a_limit_has_closed_the_phase_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder, monkeypatch, counts=(4,))
    cluster.pool.hire("one")
    cluster.hello("one")
    cluster.now += 10
    assert cluster.pool.overrunning() == []
    monkeypatch.setattr(PhaseController, "closed", property(lambda self: "the limit is reached"))
    assert cluster.pool.overrunning() == ["one"]
