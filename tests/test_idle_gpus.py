"""A GPU that no trial uses is mentioned once, where a sweep is looked at or begins."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from regtune.execution.idle_gpus import idle_gpus
from regtune.execution.run import run
from regtune.sweep.schema import ClusterConfig
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.resuming import SMALL

IDLE = "and no trial uses it: cluster.gpus_per_trial is 0; with 1, or a share as 0.25, trials train on a GPU"


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)


@pytest.mark.usefixtures("one_gpu")
def test_check_and_the_first_run_mention_it_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    assert called("check", "small.toml", folder=tmp_path).stdout.endswith(f"\nnote: this machine has a GPU, {IDLE}\n")
    first, second = (called("run", "small.toml", "--in-process", folder=tmp_path).stdout for _ in range(2))
    assert first.count(f"regtune: this machine has a GPU, {IDLE}\n") == 1
    assert "GPU" not in second
    (tmp_path / "small.toml").write_text(SMALL.replace("seeds = 2", "seeds = 3"))
    assert "this machine has" not in called("run", "small.toml", "--in-process", folder=tmp_path).stdout


def test_on_ray_it_is_what_the_cluster_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr("regtune.execution.ray.connect.cluster", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4.0, "GPU": 8.0})
    monkeypatch.setattr("regtune.execution.ray.tune.run_on_ray", stop)
    (tmp_path / "small.toml").write_text(SMALL)
    said: list[str] = []
    with pytest.raises(InterruptedError):
        run(Sweep.read(tmp_path / "small.toml"), tmp_path, address="auto", say=said.append)
    assert said == [f"the cluster has 8 GPUs, {IDLE.replace('uses it', 'uses them')}"]


def test_nothing_is_said_where_trials_use_it_or_there_is_none() -> None:
    assert idle_gpus(ClusterConfig(gpus_per_trial=0.25), 1, "x") == idle_gpus(ClusterConfig(), 0, "x") == []
