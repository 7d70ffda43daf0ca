"""Sweeps that the service starts: processes that outlive it, stop when asked, and go on from their logs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from regtune.core.records import Json
from regtune.reports.output import formatted
from regtune.results.loader import load
from regtune.service.checking import Checker
from regtune.service.control import Control
from regtune.service.problems import Denied
from regtune.service.runs import LOCK, OUTPUT, Processes
from regtune.service.sweeps import Sweeps
from regtune.storage import lease
from regtune.storage.layout import LOG
from regtune.storage.log import Log, read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP, write_log
from tests.made_up import made_up_log
from tests.served import API, asked_here, error_of, served, settings

NAMED = f'name = "small"\n{SWEEP}'
LONG = NAMED.replace("epochs = 6", "epochs = 40").replace("seeds = 3", "seeds = 2000")
TOKEN = "-".join(["another", "token", "of", "many", "characters"])


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that happens."""
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Scripts(Processes):
    """Runs that take no seconds of imports: they say what they know, and wait to be stopped."""

    code = "import os, time; print(sorted(os.environ), flush=True); time.sleep(600)"

    def _command(self, folder: Path, plugins: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", self.code]


def test_a_run_is_known_to_every_service_and_to_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGTUNE_TOKEN", TOKEN)
    folder = tmp_path / "small"
    first, other = Scripts(settings(tmp_path)), Scripts(settings(tmp_path))
    assert not first.is_up(folder)
    assert not first.stop(folder)
    first.start(folder, b"text", [])
    until(lambda: other.output(folder, 10_000).endswith("]\n"))
    assert other.is_up(folder)
    assert "REGTUNE_TOKEN" not in other.output(folder, 10_000)
    with pytest.raises(Denied, match="stop it first"):
        other.start(folder, b"other", [])
    assert (folder / "small.toml").read_bytes() == b"text"
    assert other.stop(folder)
    until(lambda: not first.is_up(folder))
    other.start(folder, b"other", [])
    assert first.is_up(folder)
    assert first.stop(folder)
    until(lambda: not other.is_up(folder))
    assert not other.stop(folder)


def test_the_end_of_a_long_output_is_shown(tmp_path: Path) -> None:
    (tmp_path / OUTPUT).write_bytes(b"x" * 1000 + b"end")
    assert Processes(settings(tmp_path)).output(tmp_path, 5) == "xxend"
    assert Processes(settings(tmp_path)).output(tmp_path / "none", 5) == ""


def test_what_a_lock_says_without_a_holder_stops_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (tmp_path / LOCK).write_text(f"{bystander.pid}\n")
        runs = Processes(settings(tmp_path))
        assert not runs.is_up(tmp_path)
        assert not runs.stop(tmp_path)
        time.sleep(0.2)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_command_is_that_of_a_shell(tmp_path: Path) -> None:
    given = settings(tmp_path, data=tmp_path / "data", download=True)
    words = Processes(given)._command(tmp_path / "small", [])
    file = str(tmp_path / "small" / "small.toml")
    options = ["--results", str(tmp_path), "--in-process", "--data", str(tmp_path / "data"), "--download"]
    assert words == [sys.executable, "-m", "regtune", "run", file, *options]


def submitted(client: httpx.Client, text: str, **more: object) -> httpx.Response:
    return client.post("/sweeps", json={"toml": text, "full": False, **more})


def test_states_of_a_sweep_that_begins_or_never_did(tmp_path: Path) -> None:
    class Refusing(Scripts):
        code = "import sys; sys.exit('regtune: data npz: expected a data folder')"

    results = tmp_path / "results"
    with served(settings(results), Scripts(settings(results))) as client:
        assert submitted(client, NAMED).json() == {
            "name": "small",
            "arms": ["baseline", "dropout", "mixup"],
            "notes": [],
            "submitted": True,
        }
        assert client.get("/sweeps/small").json()["state"] == "starting"
        assert submitted(client, NAMED).json()["submitted"] is False
        other = submitted(client, LONG)
        assert other.status_code == 409
        assert "another sweep file" in error_of(other)["message"]
        assert client.post("/sweeps/small/resume").status_code == 409
        assert client.get("/sweeps/small/file").text == NAMED
        assert client.post("/sweeps/small/stop").status_code == 202
        until(lambda: client.get("/sweeps/small").json()["state"] == "refused")
        assert client.post("/sweeps/small/stop").status_code == 409
    with served(settings(results), Refusing(settings(results))) as client:
        assert client.post("/sweeps/small/resume").status_code == 202
        until(lambda: "data folder" in str(client.get("/sweeps/small").json()["error"]))
        assert client.get("/sweeps/small").json()["error"] == {
            "message": "data npz: expected a data folder",
            "path": "data",
        }
        assert "data folder" in client.get("/sweeps/small/output").text


class Up(Processes):
    """Runs that have begun."""

    def is_up(self, folder: Path) -> bool:
        """Return that it has."""
        return True


def test_a_run_that_writes_its_header_is_starting(tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "made", {"baseline": [0.6]}) / LOG)
    begun = {"event": "lease", "time": 1.0, "host": "a b", "pid": 1, "seconds": 0.0}
    log = tmp_path / "results" / "one" / LOG
    write_log(log, [begun, rows[0]])
    first, header = log.read_bytes().splitlines(keepends=True)
    given = settings(tmp_path / "results")
    with served(given, Up(given)) as client:
        for written in (b"", first[:20], first, first + header[: len(header) // 2], first + header):
            log.write_bytes(written)
            assert client.get("/sweeps/one").json()["state"] == "starting"
    log.write_bytes(first)
    with served(given) as client:  # it ended before it wrote more, which is no damage
        assert client.get("/sweeps/one").json()["state"] == "refused"


def test_what_another_shell_runs_is_stopped_here_and_what_another_machine_runs_is_not(tmp_path: Path) -> None:
    results = tmp_path / "results"
    path = results / "small" / "log.jsonl"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (tmp_path / "small.toml").write_text(NAMED)
    header = {"sweep": Sweep.read(tmp_path / "small.toml").plain()}
    try:
        with served(settings(results), Scripts(settings(results))) as client:
            with Log(path) as log:
                log.append("header", header)
                log.append("lease", {"host": "elsewhere boot", "pid": child.pid, "seconds": 90.0})
                found = client.get("/sweeps/small").json()
                assert (found["state"], found["host"]) == ("running", "elsewhere")
                answer = client.post("/sweeps/small/stop")
                assert answer.status_code == 409
                assert "runs on elsewhere" in error_of(answer)["message"]
                assert submitted(client, NAMED).status_code == 409
                log.append("lease", {"host": lease.here(), "pid": child.pid, "seconds": 90.0})
                assert child.poll() is None
                assert client.post("/sweeps/small/stop").status_code == 202
                assert child.wait(timeout=20) == -signal.SIGTERM
            # The lock is gone: whoever has that number now is somebody else.
            assert client.post("/sweeps/small/stop").status_code == 409
            assert client.post("/sweeps/small/resume").status_code == 409
    finally:
        child.kill()
        child.wait()


def test_a_file_that_is_another_sweep_than_the_log_is_refused_before_it_starts(tmp_path: Path) -> None:
    results = tmp_path / "results"
    (tmp_path / "small.toml").write_text(NAMED)
    with Log(results / "small" / "log.jsonl") as log:
        log.append("header", {"sweep": Sweep.read(tmp_path / "small.toml").plain()})
    with served(settings(results), Scripts(settings(results))) as client:
        answer = submitted(client, NAMED.replace("batch = 16", "batch = 8"))
        assert answer.status_code == 409
        assert "training.batch" in error_of(answer)["message"]
        assert not (results / "small" / "small.toml").exists()
        assert not (results / "small" / LOCK).exists()


def test_a_file_is_read_once_to_be_started(tmp_path: Path) -> None:
    given = settings(tmp_path / "results")
    asked: list[Json] = []

    def ask(question: Json) -> object:
        asked.append(question)
        return asked_here(given)(question)

    runs = Scripts(given)
    control = Control(Sweeps(given, runs), runs, Checker(given, ask))
    assert control.submit(NAMED, None, full=False)[2]
    assert [question["do"] for question in asked] == ["read"]
    control.stop("small")


# All of it in one, with processes; the parts of it are shown above, and by test_service.py and test_service_end.py.
@pytest.mark.slow
def test_a_sweep_outlives_the_service_is_stopped_and_resumed_and_read(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "regtune", "serve", "--port", "0", "--in-process"]
    environment = {**os.environ, "REGTUNE_TOKEN": TOKEN}
    service = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert service.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", service.stdout.readline())
        assert address
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=address[0] + API, headers=headers, trust_env=False, timeout=60) as client:
            assert submitted(client, LONG).status_code == 202
            until(lambda: client.get("/sweeps/small").json()["epochs"] > 0)
        service.kill()
        service.wait()
        with served(settings(results)) as client:
            found = client.get("/sweeps/small").json()
            assert found["state"] == "running"
            until(lambda: client.get("/sweeps/small").json()["epochs"] > found["epochs"])
            assert client.post("/sweeps/small/stop").status_code == 202
            until(lambda: client.get("/sweeps/small").json()["state"] == "stopped")
            assert "the same command resumes" in client.get("/sweeps/small/output").text
            # The rest in little time: fewer trials are asked for.
            less = LONG.replace("seeds = 2000", "seeds = 3").replace("trials = 4", "trials = 2")
            assert submitted(client, less).status_code == 202
            until(lambda: client.get("/sweeps/small").json()["state"] == "finished")
            assert client.get("/sweeps/small/table").text == formatted([results / "small"], "md")
            trials = client.get("/sweeps/small/trials?phase=confirm&status=ok").json()
            assert trials["total"] == len(load(results / "small").confirmed) == 9
    finally:
        service.kill()
        service.wait()
        Processes(settings(results)).stop(results / "small")
