"""Sweeps as jobs: a head that is started by hand, token authentication on, and the commands that talk to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.core.errors import Refused
from regtune.execution.ray import job_server as connection
from regtune.execution.ray.jobs import BEGINNING, job_id, progress
from regtune.execution.ray.package import JobOptions, entrypoint
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.served import served, settings

TOKEN = "0123456789abcdef" * 4
UNPRUNED = SWEEP.replace("population = 1", 'pruner = "none"')

# Notes down which regtune its worker runs.
WITNESS = '''
import os
from dataclasses import dataclass
import regtune
from regtune.regularizers import Regularizer

@dataclass(frozen=True, kw_only=True)
class Witness(Regularizer):
    """Changes nothing."""

    def prepare(self, net, data):
        with open(f"FOLDER/{os.getpid()}", "w") as file:
            file.write(regtune.__file__)
        return net
'''


@dataclass(frozen=True, kw_only=True)
class Head:
    """A Ray head on this machine's loopback, with a home of its own."""

    address: str
    home: Path
    scratch: Path


def free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(s.getsockname()[1]) for s in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """Start a head; with --block its processes are children that end with it."""
    home = tmp_path_factory.mktemp("home")
    scratch = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))  # sockets need a short path
    gcs, dashboard, client, agent = free_ports(4)
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RAY_ADDRESS")}
    venv = Path(sys.executable).parent
    variables |= {"HOME": str(home), "PATH": f"{venv}:{os.environ['PATH']}"}
    variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
    words = [
        str(venv / "ray"), "start", "--head", "--block", "--num-cpus", "2", "--temp-dir", str(scratch),
        "--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1", "--port", gcs, "--dashboard-port", dashboard,
        "--ray-client-server-port", client, "--dashboard-agent-listen-port", agent,
    ]  # fmt: skip
    log = (home / "head.log").open("w")
    with (
        log,
        subprocess.Popen(words, cwd=home, env=variables, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        deadline = time.monotonic() + 90
        while not answers(dashboard):
            assert process.poll() is None and time.monotonic() < deadline, (home / "head.log").read_text()
            time.sleep(0.2)
        yield Head(address=f"http://127.0.0.1:{dashboard}", home=home, scratch=scratch)
        process.terminate()
        process.wait(timeout=60)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def call(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a command with --json against the head and reads its answer."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")  # --address counts, not this
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--address", head.address, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        return lines[0] if words[0] != "logs" else {"lines": [line["line"] for line in lines]}

    return run


def test_a_submitted_sweep_runs_on_the_cluster_with_the_code_that_came_along(
    head: Head, call: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    (tmp_path / "shipped_witness.py").write_text(WITNESS.replace("FOLDER", str(seen)))
    path = tmp_path / "far away.toml"
    path.write_text('name = "far"\n' + SWEEP.replace("mixup = { mixup = {} }", "witness = { witness = {} }"))
    words = ("submit", path.name, "--plugin", "shipped_witness")
    first = call(*words)
    assert first["submitted"]
    assert first["id"] == job_id(Sweep.read(path, ("shipped_witness",)))
    assert first["results"] == "~/regtune-results/far"
    again = call(*words)
    assert not again["submitted"], "the sweep is under way"
    assert again["id"] == first["id"]
    lines = call("logs", first["id"], "--follow")["lines"]
    assert any(line.startswith("baseline ") for line in lines)
    status = call("status", first["id"])
    assert status["state"] == "succeeded", lines
    assert status["progress"] == "search 12/12, confirm 9/9, failed 0, time left 0:00"
    assert call("logs", first["id"])["lines"] == lines
    assert first["id"] in [job["id"] for job in call("status")["jobs"]]
    results = load(head.home / "regtune-results" / "far")
    assert Counter(results.trials["phase"]) == {"search": 12, "confirm": 9}
    assert set(results.trials["status"]) <= {"ok", "pruned"}
    assert all(file.read_text().startswith(str(head.scratch)) for file in seen.iterdir())
    assert any(seen.iterdir())


@pytest.mark.slow
def test_the_service_runs_a_sweep_on_the_cluster(
    head: Head, call: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with served(settings(tmp_path / "shared", in_process=False, address=head.address)) as client:
        sent = {"toml": f'name = "served"\n{SWEEP}', "full": False}
        assert client.post("/sweeps", json=sent).status_code == 202
        assert client.get("/sweeps/served").json()["state"] == "starting"
    [job] = [job for job in call("status")["jobs"] if job["sweep"] == "served"]
    assert job["results"] == str(tmp_path / "shared" / "served")
    with served(settings(tmp_path / "shared", in_process=False, address=head.address)) as client:
        deadline = time.monotonic() + 120
        while (found := client.get("/sweeps/served").json())["state"] != "finished":
            assert found["state"] in ("starting", "running"), found
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert "baseline " in client.get("/sweeps/served/output").text
        assert "dropout" in client.get("/sweeps/served/table").text


@pytest.mark.slow
def test_a_job_that_was_stopped_goes_on_when_it_is_submitted_again(
    call: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "long.toml").write_text(UNPRUNED.replace("trials = 4", "trials = 30"))
    log = tmp_path / "kept" / "long" / "log.jsonl"
    words = ("submit", "long.toml", "--results", str(tmp_path / "kept"))
    name = call(*words)["id"]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.read_bytes().count(b'"ended"') > 5):
        time.sleep(0.1)
    stopped = call("stop", name)
    assert stopped["state"] == "stopped"
    again = call("stop", name)
    assert again == stopped, "there is nothing left to stop"
    said = call("logs", name)["lines"][-1]
    assert said == "regtune: interrupted; finished work is kept, and the same command resumes"
    rows, torn = read_log(log)
    ended = {tuple(row["cell"]) for row in rows if row["event"] == "ended"}
    assert 5 < len(ended) < 90
    assert not torn
    again = call(*words)
    assert again["submitted"]
    assert again["id"] == name
    call("logs", name, "--follow")
    assert call("status", name)["state"] == "succeeded"
    rows, _ = read_log(log)
    ends = Counter(tuple(row["cell"]) for row in rows if row["event"] == "ended")
    epochs = Counter((*row["cell"], row["epoch"]["number"]) for row in rows if row["event"] == "epoch")
    assert len(ends) == 3 * 30 + 3 * 3
    assert set(ends.values()) == set(epochs.values()) == {1}, "no trial was trained twice"


@pytest.mark.slow
def test_a_job_that_failed_says_why(call: Callable[..., dict[str, Any]], head: Head, tmp_path: Path) -> None:
    text = SWEEP.partition("[network]")[2]
    path = tmp_path / "own.toml"
    path.write_text(f'[data]\nname = "npz"\npath = "own.npz"\nvalidation = 32\n[network]{text}')
    name = call("submit", "own.toml", "--data", "/nowhere")["id"]
    call("logs", name, "--follow")
    failed = call("status", name)
    assert failed["state"] == "failed"
    assert failed["message"].startswith("regtune: data npz: ")
    assert failed["progress"] is None, "a run that is refused before it begins leaves its refusal alone"
    line = CliRunner().invoke(app, ("status", name, "--address", head.address)).stdout.splitlines()[0]
    assert line == f"{name}: failed: {failed['message']}"


def test_an_unknown_job_and_another_ray_are_refused(
    call: Callable[..., dict[str, Any]], sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "jobs" in call("status")
    with pytest.raises(Refused, match=r"^ID: unknown job 'regtune-nix'"):
        call("status", "regtune-nix")
    monkeypatch.setattr(connection, "cluster_version", lambda client: "2.59.0")
    with pytest.raises(
        Refused, match=rf"expected Ray {ray.__version__} as here, the cluster has 2\.59\.0; pip install"
    ):
        call("submit", str(sweep_file))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RAY_AUTH_TOKEN": "wrong"}, "Authentication failed: Forbidden: Invalid authentication token"),
        ({}, "jobs: expected a token, given none; put the cluster's token into RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere"}, "RAY_AUTH_TOKEN_PATH is set but file cannot be opened"),
        ({"RAY_AUTH_MODE": "disabled"}, "Authentication required: Unauthorized: Missing authentication token"),
    ],
)
def test_without_the_token_nothing_is_answered(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": str(tmp_path)} | variables).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ("status", "--address", head.address))
    assert isinstance(result.exception, Refused)
    assert said in str(result.exception)
    assert "ray get-auth-token --generate" in str(result.exception)
    assert not result.output


def test_a_refusal_is_one_line_of_the_command(head: Head) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "regtune", "status", "--address", head.address],
        capture_output=True, text=True, check=False, env=os.environ | {"RAY_AUTH_TOKEN": "wrong"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"regtune: --address .*: Authentication failed: .*\n", done.stderr)
    assert not done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "--address", "http://127.0.0.1:1"), "expected a Ray job server, but none can be reached"),
        (("status", "--address", "http://"), "expected a Ray job server, but"),
        (("stop", "x", "--address", "ray://h:10001"), "--address: expected http://HOST:8265"),
        (("logs", "x", "--address", "h:8265"), "--address: expected http://HOST:8265"),
        (("submit", "small.toml", "--results", "results"), "--results: expected a folder on the cluster"),
        (("submit", "small.toml", "--data", "data"), "--data: expected a folder on the cluster"),
        (("submit", "none.toml"), "none.toml: expected a readable file"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, Refused)
    assert said in str(result.exception)


def test_without_the_job_client_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    result = CliRunner().invoke(app, ("status",))
    assert isinstance(result.exception, Refused)
    assert "pip install 'regtune[cluster]'" in str(result.exception)


def test_a_job_is_named_after_its_sweep(sweep_file: Path) -> None:
    name = job_id(Sweep.read(sweep_file))
    assert re.fullmatch(r"regtune-small-[0-9a-f]{8}", name)
    assert job_id(Sweep.read(sweep_file)) == name
    sweep_file.write_text(SWEEP.replace("seeds = 3", "seeds = 4"))
    assert job_id(Sweep.read(sweep_file)) != name


def test_the_shell_gets_quoted_words_and_finds_the_home_folder(sweep_file: Path) -> None:
    sweep = Sweep.read(sweep_file)
    options = JobOptions(results="~/my results", data="/d d", download=True, retry_failed=True)
    line = entrypoint(sweep, Path("a; b.toml"), options)
    code = 'printf "%s\\n" "$@"'
    done = subprocess.run(
        ["sh", "-c", f"set -- {line}; {code}"], env={"HOME": "/h"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "python", "-m", "regtune", "run", "./a; b.toml", "--address", "auto", "--results", "/h/my results",
        "--data", "/d d", "--download", "--retry-failed",
    ]  # fmt: skip


def test_progress_is_that_of_the_newest_run() -> None:
    line = "search 3/12, confirm 0/9, failed 0, time left …"
    assert progress([f"{BEGINNING} x: python", line, "something else"]) == line
    assert progress([line, f"{BEGINNING} x: python"]) is None
    assert progress([]) is None
