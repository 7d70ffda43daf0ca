"""What makes a machine the same is one list: to reuse, to `trial --row`, and to a trial that is begun again."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray import tune

from regtune.core.records import Json, Trial, TrialKey
from regtune.execution import lane_work, local
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneAnswer, LaneTerms, PhaseJob, Work
from regtune.execution.ray import worker
from regtune.execution.ray.pool import Assignment
from regtune.execution.reproduce import recorded_epochs
from regtune.execution.reuse import reusable, reusing
from regtune.execution.trial_environment import environment_changes_since, place_for
from regtune.execution.trial_queue import Task
from regtune.results.loader import load
from regtune.storage import environment
from regtune.storage.environment import CLASS, describe, environment_changes, location, same_class, stood
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_pool
from tests.conftest import small_trial, write_log
from tests.resuming import SMALL, ran
from tests.schedulers import Rows, Twins
from tests.test_scheduler import epoch, finished

GPU = "NVIDIA H200"
PACE = ReportPlan(rungs=(), checkpoint_seconds=60, trial_seconds=None, weights=False)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch and nvidia-smi see a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: GPU)
    printed = environment._printed
    smi = {"nvidia-smi": f"{GPU}\n{GPU}"}
    monkeypatch.setattr(environment, "_printed", lambda *words: smi.get(words[0]) or printed(*words))


def one_report(*given: Any) -> Iterator[Report]:
    yield Report(epochs=(epoch(1, 0.5, finished(0.5)),))


@pytest.mark.parametrize(("device", "processor"), [("cuda", GPU), ("cpu", location()["processor"])])
def test_both_runners_say_the_device_of_a_trial(
    device: str, processor: str, gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, sent = Rows(tmp_path / "log.jsonl"), list[Json]()
    monkeypatch.setattr(lane_work, "attempt", one_report)
    controller = PhaseController(scheduler=Twins(device=device), log=log, retries=1)
    splits: Any = Any
    local.run_here([PhaseJob(controller=controller, data=splits, plan=PACE, terms=LaneTerms(width=1))])
    assert {row["where"]["processor"] for row in log.rows if row["event"] == "started"} == {processor}
    monkeypatch.setattr(tune, "report", sent.append)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "node"))
    task = Task(key=TrialKey("a", "search", 0), trial=small_trial(device=device), resume=None, avoid=())
    work = Work(kind="k", tasks=(task,), width=1, may_refill=False)
    answers = iter([Assignment(phase=1, work=work, plan=PACE), LaneAnswer(), None])
    monkeypatch.setattr(ray, "get", lambda got: pickle.dumps(next(answers)) if got == "answer" else got)
    shared = SimpleNamespace(unpack=lambda: None)
    mailbox = SimpleNamespace(
        take=SimpleNamespace(remote=lambda name: "answer"), published=SimpleNamespace(remote=lambda phase: [shared])
    )
    worker.train_lanes({"worker": "w"}, mailbox)
    _, found, _ = [worker.decoded(result) for result in sent]
    assert found is not None and found[1] == place_for(device) | {"node": "node"}
    assert found[1]["processor"] == processor


def on_a_gpu(folder: Path, *, said: str, gpus: str | None) -> Path:
    """Return a log of trials for a GPU whose workers called their processor so."""
    log = ran(folder)
    rows = read_log(log)[0]
    for row in rows:
        if row["event"] == "header":
            row["machine"]["gpus"] = gpus
        elif row["event"] == "asked":
            row["trial"]["device"] = "cuda"
        elif row["event"] == "started":
            row["where"]["processor"] = said
    write_log(log, rows)
    return log


PLACES = [
    (GPU, f"{GPU}\n{GPU}", True),
    ("Tesla T4", f"{GPU}\n{GPU}", False),
    (location()["processor"], f"{GPU}\n{GPU}", True),  # as trials in the driver's process said it once
    (location()["processor"], "Tesla T4", False),
]


@pytest.mark.parametrize(("said", "gpus", "same"), PLACES)
def test_trials_on_a_gpu_are_compared_by_it(said: str, gpus: str, same: bool, gpu: None, tmp_path: Path) -> None:
    log = on_a_gpu(tmp_path, said=said, gpus=gpus)
    results = load(log.parent)
    (tmp_path / "b.toml").write_text(f"{SMALL}gpus_per_trial = 1\n")
    sweep = reusing(Sweep.read(tmp_path / "b.toml"), (str(log.parent),))
    line = reusable(sweep, {"data": results.header["data"]}).words[-1]
    why = "" if same else "; not: 8 trained on another class of machine, or by another torch"
    assert line == f"reuse {log.parent}: {8 if same else 0} of 8 trials there can be reused{why}"
    key, plain = next(iter(results.plain_trials.items()))
    header, recorded, _ = recorded_epochs(results, key)
    trial = Trial.from_plain(plain)
    assert len(recorded) == 4 and bool(environment_changes_since(header, trial, load_pool(trial))) is not same


def test_trials_for_another_device_are_counted_apart(tmp_path: Path) -> None:
    log = ran(tmp_path)
    (tmp_path / "b.toml").write_text(f"{SMALL}gpus_per_trial = 1\n")
    sweep = reusing(Sweep.read(tmp_path / "b.toml"), (str(log.parent),))
    assert (
        reusable(sweep, {"data": ""}).words[-1].endswith("0 of 8 trials there can be reused; not: 8 for another device")
    )


@pytest.mark.parametrize("name", CLASS)
def test_each_of_the_list_makes_another_machine(name: str) -> None:
    here = describe()
    part = "packages" if name == "torch" else "machine"
    other = here | {part: here[part] | {name: "other"}}
    assert environment_changes(other, here) == [f"{name} was other, is {here[part][name]}"]
    one, another = ({"processor": "a", "torch": "1", "host": host} for host in "xy")
    assert same_class(one, another) and not same_class(one, another | {name: "other"})


def test_an_old_header_without_a_hash_of_the_sources_reads() -> None:
    here = describe()
    old = {name: value for name, value in here.items() if name != "code"}
    assert environment_changes(old, here) == [] and environment_changes(here | {"code": "other"}, here)
    assert stood(old, location(), "cpu") == old


def test_git_writes_nothing_into_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "regtune"
    house.mkdir()
    (house / "file.py").write_text("pass\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    os.utime(house / "file.py", (1, 1))  # what git would write down in its index
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    monkeypatch.setattr(environment, "PACKAGE", house)
    commit = environment.describe()["commit"]
    assert commit is not None and not commit.endswith("-dirty")
    assert index.read_bytes() == before
    (house / "file.py").write_text("...\n")
    assert environment.describe()["commit"] == f"{commit}-dirty"
