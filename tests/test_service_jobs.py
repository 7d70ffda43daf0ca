"""Sweeps that the service runs as jobs of a cluster; the job server is a made-up one, `test_jobs.py` has Ray's."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.core.errors import Refused
from regtune.execution.ray.jobs import job_id
from regtune.service.problems import Denied
from regtune.service.ray_jobs import RayJobs
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.job_server import JobServer, job_server
from tests.served import error_of, served, settings

NAMED = f'name = "small"\n{SWEEP}'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with job_server() as state:
        yield state


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    (tmp_path / "small.toml").write_text(NAMED)
    return Sweep.read(tmp_path / "small.toml")


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_is_found_by_every_service_of_the_folder(server: JobServer, tmp_path: Path, sweep: Sweep) -> None:
    given = settings(tmp_path, data=tmp_path / "data", download=True)
    folder = tmp_path / "small"
    first, other = RayJobs(given, server.address), RayJobs(given, server.address)
    assert not first.is_up(folder)
    assert not first.stop(folder)
    assert first.output(folder, 5) == ""
    first.start(folder, NAMED.encode(), [])
    assert (folder / "small.toml").read_text() == NAMED
    name = job_id(sweep)
    [job] = server.jobs.values()
    assert job["submission_id"] == name
    assert shlex.split(job["entrypoint"]) == [
        "python", "-m", "regtune", "run", str(folder / "small.toml"), "--address", "auto",
        "--results", str(tmp_path), "--data", str(tmp_path / "data"), "--download",
    ]  # fmt: skip
    assert job["metadata"]["results"] == str(folder)
    assert first.is_up(folder)
    assert other.is_up(folder)
    with pytest.raises(Denied, match="stop it first"):
        other.start(folder, b"other", [])
    assert (folder / "small.toml").read_text() == NAMED
    server.logs[name] = "one\ntwo\n"
    assert other.output(folder, 5) == "\ntwo\n"
    assert other.stop(folder)
    until(lambda: server.jobs[name]["status"] == "STOPPED")
    until(lambda: not other.is_up(folder))
    assert not other.stop(folder)
    first.start(folder, NAMED.encode(), [])
    assert first.is_up(folder)


def test_the_job_of_another_folder_is_not_taken_for_this_one(server: JobServer, tmp_path: Path, sweep: Sweep) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "small").mkdir(parents=True)
        (tmp_path / name / "small" / "small.toml").write_text(NAMED)
    RayJobs(settings(tmp_path / "a"), server.address).start(tmp_path / "a" / "small", NAMED.encode(), [])
    assert not RayJobs(settings(tmp_path / "b"), server.address).is_up(tmp_path / "b" / "small")


def test_what_a_job_says_that_never_ran_is_its_output(server: JobServer, tmp_path: Path, sweep: Sweep) -> None:
    runs = RayJobs(settings(tmp_path), server.address)
    runs.start(tmp_path / "small", NAMED.encode(), [])
    server.jobs[job_id(sweep)] |= {"status": "FAILED", "message": "no room for its files"}
    assert runs.output(tmp_path / "small", 100) == "no room for its files\n"


def test_the_service_submits_lists_and_stops_jobs(server: JobServer, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    given = settings(results, in_process=False, address=server.address)
    sent = {"toml": NAMED, "full": False}
    with served(given) as client:
        assert client.get("/sweeps").json()["sweeps"] == []
        assert server.asked == [], "nothing is asked for what was never started"
        assert client.post("/sweeps", json=sent).json()["submitted"] is True
        assert client.post("/sweeps", json=sent).json()["submitted"] is False
        assert client.get("/sweeps/small").json()["state"] == "starting"
    with served(given) as client:  # the next service
        assert client.get("/sweeps/small").json()["state"] == "starting"
        server.asked.clear()
        assert client.get("/sweeps").json()["total"] == 1
        assert len(server.asked) <= 3, "jobs are asked for once, not for each sweep"
        assert client.post("/sweeps/small/stop").status_code == 202
        [name] = server.jobs
        until(lambda: server.jobs[name]["status"] == "STOPPED")
        server.logs[name] = "regtune: training.epochs: expected more\n"
        until(lambda: client.get("/sweeps/small").json()["state"] == "refused")
        assert client.get("/sweeps/small").json()["error"]["path"] == "training.epochs"
        assert client.post("/sweeps/small/stop").status_code == 409


def test_a_job_server_that_refuses_is_one_line_and_503(server: JobServer, tmp_path: Path) -> None:
    sent = {"toml": NAMED, "full": False}
    with served(settings(tmp_path, address=server.address)) as client:
        for name, value, said in (("version", "2.0.0", "expected Ray"), ("refuses", "it is\nfull", "it is\\nfull")):
            server.version = ray.__version__
            setattr(server, name, value)
            answer = client.post("/sweeps", json=sent)
            assert answer.status_code == 503
            assert said in error_of(answer)["message"]
            assert "\n" not in error_of(answer)["message"]
            assert not (tmp_path / "small").exists()
    with served(settings(tmp_path, address="http://127.0.0.1:1")) as client:
        answer = client.post("/sweeps", json=sent)
        assert answer.status_code == 503
        assert "expected a Ray job server, but none can be reached" in error_of(answer)["message"]
        (tmp_path / "small").mkdir()
        (tmp_path / "small" / "small.toml").write_text(NAMED)
        assert client.get("/sweeps/small").status_code == 503
        assert client.get("/sweeps/small/file").text == NAMED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--address", "h:8265"), "--address: expected http://HOST:8265"),
        (("--address", "http://h:8265", "--in-process"), "--address: expected a cluster or --in-process, given both"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ("serve", "--results", str(tmp_path), *words))
    assert isinstance(result.exception, Refused)
    assert said in str(result.exception)
