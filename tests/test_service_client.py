"""The client of the service: it says what the service says, and sends its token to nobody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

import regtune
from regtune.core.errors import Refused
from regtune.reports.output import formatted
from regtune.storage.layout import LOG
from regtune.storage.log import read_log
from tests.command_line import called
from tests.conftest import SWEEP
from tests.made_up import made_up_log
from tests.served import API, served, settings
from tests.test_service_runs import Scripts, until

TOKEN = "-".join(["a", "token", "of", "this", "test"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    made_up_log(folder / "one", {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]})
    return folder


@pytest.fixture(scope="module")
def served_results(results: Path) -> Iterator[httpx.Client]:
    with served(settings(results, token=TOKEN), Scripts(settings(results))) as client:
        yield client


@pytest.fixture
def address(served_results: httpx.Client) -> str:
    return str(served_results.base_url).removesuffix("/").removesuffix(API)


def test_everything_is_read_by_the_client(address: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGTUNE_TOKEN", TOKEN)
    client = regtune.Client(address)
    assert [sweep["name"] for sweep in client.sweeps()] == ["one"]
    assert client.status("one")["state"] == "finished"
    assert client.table("one", "csv") == formatted([results / "one"], "csv")
    assert client.trials("one", phase="confirm", arm="dropout")["total"] == 2
    assert client.epochs("one", phase="confirm", limit=3)["total"] == 16
    rows, _ = read_log(results / "one" / LOG)
    events = client.events("one")
    first = [next(events) for _ in rows]
    assert [row for _, row in first] == rows
    assert next(client.events("one", first[0][0])) == first[1]


def test_refusals_are_those_of_the_service(address: str) -> None:
    with pytest.raises(Refused, match="expected Bearer"):
        regtune.Client(address, "another token, of many characters").sweeps()
    client = regtune.Client(address, TOKEN)
    with pytest.raises(Refused, match="did you mean 'one'"):
        client.status("onee")
    with pytest.raises(Refused, match="Not Found"):
        client.status("../one")
    with pytest.raises(Refused, match="expected an event of this log"):
        next(client.events("one", "99999999-00000000"))
    with pytest.raises(Refused, match="does it run"):
        regtune.Client("http://127.0.0.1:1").sweeps()
    with pytest.raises(Refused, match="expected an address"):
        regtune.Client("file:///etc")


def test_a_redirection_gets_no_token() -> None:
    asked: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_port}/other")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(Refused, match="302"):
            regtune.Client(f"http://127.0.0.1:{server.server_port}", TOKEN).sweeps()
    finally:
        server.shutdown()
        server.server_close()
    assert asked == [f"Bearer {TOKEN}"]


def test_an_answer_that_breaks_off_is_one_line() -> None:
    class Dying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"id: 1-00000000\ndata: {}\n\nid: ")

        def log_message(self, *words: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Dying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        client = regtune.Client(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(Refused, match="expected the rest of an answer"):
            client.table("one")
        events = client.events("one")
        assert next(events) == ("1-00000000", {})
        with pytest.raises(Refused, match="does it run"):
            next(events)
    finally:
        server.shutdown()
        server.server_close()


def test_a_sweep_file_is_submitted_from_the_command_line(address: str, results: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SWEEP)
    words = ("submit", "mine.toml", "--service", address)
    ended = called(*words, folder=tmp_path, REGTUNE_TOKEN=TOKEN)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("mine: submitted\nok, 3 arms; 48 training")
    assert (results / "mine" / "mine.toml").read_text() == SWEEP
    client = regtune.Client(address, TOKEN)
    assert client.stop("mine")["name"] == "mine"
    until(lambda: client.status("mine")["state"] == "refused")  # a script writes no log
    assert client.resume("mine")["state"] == "starting"
    again = called(*words, "--json", folder=tmp_path, REGTUNE_TOKEN=TOKEN)
    assert json.loads(again.stdout)["submitted"] is False
    client.stop("mine")
    (tmp_path / "mine.toml").write_text(SWEEP.replace("epochs = 6", "epochs = -6"))
    ended = called(*words, folder=tmp_path, REGTUNE_TOKEN=TOKEN)
    assert ended.returncode == 2
    assert "training.epochs: expected" in ended.stderr
