"""Who may ask the service, and what nobody gets from it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from regtune.core.errors import Refused
from regtune.service.checking import Checker
from regtune.service.guard import HEADERS
from regtune.service.problems import problem
from regtune.service.routes import MOST_MAKING
from regtune.service.settings import MOST_BODY, check_access
from regtune.service.sweeps import Sweeps
from regtune.storage.layout import LOG
from regtune.storage.log import read_log
from tests.command_line import called
from tests.conftest import SWEEP, write_log
from tests.made_up import made_up_log
from tests.served import asked_here, error_of, served, settings
from tests.test_service_runs import until

TOKEN = "-".join(["a", "token", "of", "more", "than", "16", "characters"])
NAMED = f'name = "small"\n{SWEEP}'


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("safety") / "results"
    made_up_log(folder / "one", {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]})
    made_up_log(folder.parent / "outside", {"baseline": [0.6]})
    (folder / "link").symlink_to(folder.parent / "outside")
    return folder


@pytest.fixture(scope="module")
def client(results: Path) -> Iterator[httpx.Client]:
    with served(settings(results)) as client:
        yield client


@pytest.mark.parametrize("host", ["::", "192.168.0.1", "node.example"])
def test_what_others_reach_needs_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected a token"):
        check_access(host, None)
    check_access(host, TOKEN)
    ended = called("serve", "--host", host, "--results", "results", folder=tmp_path)
    assert ended.returncode == 2
    assert "--host" in ended.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "token", ["", "short", "with a space in it, and long", "line\nbreak-in-a-long-token", "ü" * 20]
)
def test_a_token_that_is_none_is_refused_on_loopback_too(token: str) -> None:
    check_access("127.0.0.1", None)
    with pytest.raises(Refused, match="at least 16 characters"):
        check_access("127.0.0.1", token)


def test_only_who_has_the_token_gets_anything(results: Path) -> None:
    with served(settings(results, token=TOKEN)) as client:
        for header in ("", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer", "Bearer ü"):
            headers = {b"Authorization": header.encode()} if header else {}
            for path in ("/sweeps", "/sweeps/one", "/openapi.json", "/nothing"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401, (header, path)
                assert TOKEN not in error_of(answer)["message"]
        assert client.get(f"/sweeps?token={TOKEN}").status_code == 401  # never in an address
        assert client.get("/sweeps", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.post("/sweeps/one/stop").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "localhost@evil"]
)
def test_a_foreign_host_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/sweeps", headers={"Host": host})
    assert answer.status_code in (400, 403)  # without a name at all the server itself refuses
    if answer.status_code == 403:
        assert error_of(answer)["message"].startswith("Host:")


def test_other_names_of_the_service_are_its_own(client: httpx.Client, results: Path) -> None:
    port = client.base_url.port
    for host in (f"localhost:{port}", f"[::1]:{port}", "LOCALHOST", "127.0.0.1"):
        assert client.get("/sweeps", headers={"Host": host}).status_code == 200
    with served(settings(results, hosts=frozenset({"sweeps.example"}))) as named:
        assert named.get("/sweeps").status_code == 403
        assert named.get("/sweeps", headers={"Host": "sweeps.example"}).status_code == 200


def test_a_request_from_a_page_of_another_site_is_refused(client: httpx.Client) -> None:
    own = f"http://127.0.0.1:{client.base_url.port}"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.post("/sweeps/one/stop", headers=headers)
        assert answer.status_code == 403, headers
        assert error_of(answer)["message"].partition(":")[0] in headers
    assert client.get("/sweeps", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_every_answer_has_the_headers_that_keep_it_here(client: httpx.Client) -> None:
    for path, host in (("/sweeps", "127.0.0.1"), ("/nothing", "127.0.0.1"), ("/sweeps", "evil.example")):
        answer = client.get(path, headers={"Host": host})
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert "access-control-allow-origin" not in client.options("/sweeps").headers


def test_a_body_without_end_is_cut_off(client: httpx.Client) -> None:
    body = json.dumps({"toml": "x" * MOST_BODY}).encode()

    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(body), 4096):
            yield body[begin : begin + 4096]

    for content in (body, pieces()):  # of a known length, and of one that nobody knows
        answer = client.post("/check", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert "bytes" in error_of(answer)["message"]
    long = client.post("/check", json={"toml": "#" * 65_537})
    assert long.status_code == 422
    assert client.get("/sweeps").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["..", ".", "%2e%2e", "../../outside", "..%2Foutside", "%2Fetc", "one%00", "one%0a", "link", "a" * 101, "%C3%A9"],
)
def test_a_name_never_leaves_the_folder(client: httpx.Client, name: str) -> None:
    for rest in ("", "/table", "/output", "/file", "/events", "/trials"):
        # As it is: a client of manners would take the dots out first.
        connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port)
        connection.request("GET", f"/api/v1/sweeps/{name}{rest}")
        answer = connection.getresponse()
        assert answer.status in (404, 422)
        assert json.loads(answer.read())["error"]["message"]
        connection.close()
    assert "link" not in [sweep["name"] for sweep in client.get("/sweeps").json()["sweeps"]]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ('name = "../outside"', "name"),
        ('name = "a/b"', "name"),
        ('name = ""', "name"),
        ("", "name"),
        ('name = "small"\nplugins = ["antigravity"]', "plugins"),
        ('name = "small"\nreuse = ["/etc"]', "reuse"),
        ('name = "small"\nreuse = ["../../outside"]', "reuse"),
        ('name = "small"\nreuse = [".."]', "reuse"),
        ('name = "small"\ninclude = "base.toml"', "include"),
        ('name = "small"\nnothing = 1', "nothing"),
        ('name = "small"\nnetwork = { name = "timm", model = "test_vit", weights = "/etc/x.pt" }', "network.weights"),
        ('name = "small"\nnetwork = { name = "timm", model = "test_vit", weights = "../x.pt" }', "network.weights"),
        ('name = "small"\nbase = { transfer = { weights = "/etc/x.pt" } }', "base.transfer.weights"),
        (
            'name = "small"\nbase = { g = { one_of = { transfer = { weights = ["a.pt", "../x.pt"] } } } }',
            "base.g.one_of.transfer.weights",
        ),
    ],
)
def test_what_a_file_may_not_say_is_refused_by_its_path(client: httpx.Client, changed: str, path: str) -> None:
    for where in ("/check", "/sweeps"):
        table = SWEEP.partition("[network]")[2].partition("[optimizer]")[0]
        rest = SWEEP.replace(f"[network]{table}", "") if "network" in changed else SWEEP
        answer = client.post(where, json={"toml": f"{changed}\n{rest}", "full": False})
        assert answer.status_code == 422
        found = error_of(answer)
        assert found["path"] == (path if path != "nothing" else None)
        assert found["message"].startswith(f"{path}: ")


def test_what_is_reused_is_a_sweep_of_the_same_folder(client: httpx.Client) -> None:
    for reused, status, said in (
        ("one", 200, ""),
        ("small", 422, "this sweep's own"),
        ("other", 422, "expected a results folder with a log.jsonl"),
        ("link", 422, "expected a folder of a sweep"),  # it leads outside
    ):
        answer = client.post("/check", json={"toml": f'reuse = ["../{reused}"]\n{NAMED}', "full": False})
        assert answer.status_code == status
        if said:
            found = error_of(answer)
            assert (found["path"], said in found["message"]) == ("reuse", True)


def test_settings_are_refused_as_the_command_refuses_them_with_their_path(client: httpx.Client) -> None:
    for was, now, path in (
        ("epochs = 6", "epochs = 0", "training.epochs"),
        ("dropout = { dropout = {} }", "dropout = { dropout = { p_hiden = 0.5 } }", "arms.dropout.dropout"),
        ('name = "mlp"', 'name = "mpl"', "network.name"),
        ("low = 0.001", "low = -1", "optimizer.learning_rate.low"),
    ):
        answer = client.post("/check", json={"toml": NAMED.replace(was, now, 1), "full": False})
        assert (answer.status_code, error_of(answer)["path"]) == (422, path)
    broken = client.post("/check", json={"toml": "name = [", "full": False})
    assert (broken.status_code, error_of(broken)["path"]) == (422, None)


def test_the_path_of_a_refusal_is_that_of_the_file() -> None:
    for text, path in (
        ("training.batch: expected at most 48", "training.batch"),
        ("data digits: expected a data folder", "data"),
        ("arms.x.y[0]: expected", "arms.x.y[0]"),
        ("expected TOML, given: nothing", None),
        ("check: it ended", None),
    ):
        assert problem(Refused(text)).error.path == path


def test_a_plugin_that_the_operator_allows_may_be_named_and_no_other(tmp_path: Path) -> None:
    given = settings(tmp_path, plugins={"tests.plugin_things": "tests.plugin_things"})
    checker = Checker(given, asked_here(given))
    text = f'plugins = ["tests.plugin_things"]\n{NAMED}'
    assert checker.read(text).plugins == ("tests.plugin_things",)
    with pytest.raises(Refused, match="regtune serve --plugin"):
        checker.read(text.replace("plugin_things", "plugin_noise"))
    table = 'name = "module"\npath = "tests.MODULE"'
    module = NAMED.replace('name = "mlp"\nwidths = [12, 12]\nresidual = true', table)
    with pytest.raises(Refused, match=r"given 'tests\.plugin_modules' .*; regtune serve --plugin allows one"):
        checker.read(module.replace("MODULE", "plugin_modules:Pictures"))
    given = settings(tmp_path, plugins={"tests.plugin_modules": "tests.plugin_modules"})
    checker = Checker(given, asked_here(given))
    allowed = module.replace("MODULE", 'plugin_modules:Pictures"\narguments = { classes = 4 } #')
    assert checker.read(allowed).plugins == ("tests.plugin_modules",)


def test_a_full_check_loads_data_below_the_operators_folder_only(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.npz").write_bytes(b"of somebody else")
    (tmp_path / "results").mkdir()
    with served(settings(tmp_path / "results", data=tmp_path / "data")) as client:
        table = '[data]\nname = "npz"\npath = "../secret.npz"\n[network]'
        text = f"{NAMED.partition('[data]')[0]}{table}{NAMED.partition('[network]')[2]}"
        answer = client.post("/sweeps", json={"toml": text})
        assert (answer.status_code, error_of(answer)["path"]) == (422, "data.path")
        assert "below the data folder" in error_of(answer)["message"]
        assert client.get("/sweeps").json()["total"] == 0


def test_a_file_is_named_by_itself_or_else_by_who_sends_it(client: httpx.Client) -> None:
    for text, name, called_so in ((SWEEP, "mine", "mine"), (NAMED, "mine", "small"), (NAMED, None, "small")):
        answer = client.post("/check", json={"toml": text, "name": name, "full": False})
        assert answer.json()["name"] == called_so
    for name in ("../mine", "", "a/b", "-"):
        answer = client.post("/check", json={"toml": SWEEP, "name": name, "full": False})
        assert (answer.status_code, error_of(answer)["path"]) == (422, "name")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"event": "ended", "cell": ["baseline", "search", 0]},
        {"event": "ended", "cell": 3},
        {"event": "epoch", "cell": [["baseline"], "search", 0]},
        {"event": "header", "sweep": []},
        {"event": "lease", "host": 1, "pid": None},
        {"event": "asked", "cell": ["baseline", "search", 0], "time": "noon"},
    ],
)
def test_a_row_of_another_shape_damages_its_own_sweep_alone(tmp_path: Path, wrong: dict[str, object]) -> None:
    made_up_log(tmp_path / "good", {"baseline": [0.6]})
    log = made_up_log(tmp_path / "bad", {"baseline": [0.6]}) / LOG
    rows, _ = read_log(log)
    place = len(log.read_bytes())
    write_log(log, [*rows, wrong])
    with served(settings(tmp_path)) as client:
        states = {sweep["name"]: sweep for sweep in client.get("/sweeps").json()["sweeps"]}
        assert (states["good"]["state"], states["bad"]["state"]) == ("finished", "damaged")
        assert f"byte {place}: expected rows as regtune writes them" in states["bad"]["error"]["message"]
        for rest in ("/table", "/trials", "/figures"):
            answer = client.get(f"/sweeps/bad{rest}")
            assert (answer.status_code, "expected rows" in error_of(answer)["message"]) == (409, True)
        assert client.post("/sweeps/bad/stop").status_code == 409
        sent = {"toml": SWEEP, "name": "bad", "full": False}
        assert client.post("/sweeps", json=sent).status_code == 409


def test_figures_that_take_long_hold_up_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_log(tmp_path / "one", {"baseline": [0.6]})
    made, at_once = threading.Event(), []

    def figures(sweeps: Sweeps, name: str, repeat: int) -> tuple[list[object], int]:
        at_once.append(name)
        made.wait(60)
        return [], 0

    monkeypatch.setattr(Sweeps, "figures", figures)
    with served(settings(tmp_path)) as client, ThreadPoolExecutor(60) as others:
        held = [others.submit(httpx.get, f"{client.base_url}sweeps/one/figures", timeout=60) for _ in range(60)]
        try:
            until(lambda: len(at_once) == MOST_MAKING)
            for _ in range(5):
                assert client.get("/sweeps/one", timeout=5).status_code == 200
            assert client.get("/sweeps", timeout=5).json()["total"] == 1
            assert client.post("/sweeps/one/stop", timeout=5).status_code == 409
            with client.stream("GET", "/sweeps/one/events", timeout=5) as events:
                assert next(events.iter_lines()).startswith("id: ")
            assert len(at_once) == MOST_MAKING
        finally:
            made.set()
        assert {each.result().status_code for each in held} == {200}


def test_how_a_sweep_stands_is_said_while_its_figures_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_log(tmp_path / "open", {"baseline": [0.6, None], "dropout": [None, 0.7]})  # its frames say if it is over
    making, may_end = threading.Event(), threading.Event()

    def drawn(tables: object) -> list[object]:
        making.set()
        may_end.wait(60)
        return []

    monkeypatch.setattr("regtune.service.sweeps.drawn", drawn)
    with served(settings(tmp_path)) as client, ThreadPoolExecutor(1) as other:
        held = other.submit(httpx.get, f"{client.base_url}sweeps/open/figures", timeout=60)
        try:
            assert making.wait(30)
            assert client.get("/sweeps/open", timeout=10).json()["state"] == "stopped"
            assert client.get("/sweeps", timeout=10).json()["total"] == 1
        finally:
            may_end.set()
        assert held.result().status_code == 200


def test_streams_are_limited_and_make_room_when_their_clients_go(results: Path) -> None:
    path = "/sweeps/one/events"
    with served(settings(results, most_streams=2)) as client, contextlib.ExitStack() as held:
        lines = [held.enter_context(client.stream("GET", path)).iter_lines() for _ in range(2)]
        for each in lines:  # kept: httpx closes a stream when what iterates over it is forgotten
            assert next(each).startswith("id: ")
        refused = client.get(path)
        assert (refused.status_code, "--max-streams" in error_of(refused)["message"]) == (503, True)
        assert int(refused.headers["Retry-After"]) > 0
        held.close()  # they go
        for _ in range(20):  # more than there is room for: clients who go at once, perhaps before it begins

            def opens() -> bool:
                with client.stream("GET", path) as answer:
                    return answer.status_code == 200

            until(opens)


@pytest.mark.parametrize("linked", ["one.toml", "run.log", "run.lock", "log.jsonl", "repeat-2", "log-2.jsonl"])
def test_links_in_the_folder_of_a_sweep_are_not_followed(tmp_path: Path, linked: str) -> None:
    results = tmp_path / "results"
    made_up_log(results / "one", {"baseline": [0.6]})
    outside = tmp_path / "outside"
    outside.write_text("of somebody else")
    (results / "one" / linked).unlink(missing_ok=True)
    (results / "one" / linked).symlink_to(outside)
    with served(settings(results)) as client:
        for rest in ("", "/file", "/output", "/table", "/events"):
            assert client.get(f"/sweeps/one{rest}").status_code == 404
        for path, body in (("/sweeps", {"toml": SWEEP, "name": "one", "full": False}), ("/sweeps/one/resume", {})):
            assert client.post(path, json=body).status_code == 404
        listed = client.get("/sweeps").json()
        assert (listed["total"], [each["state"] for each in listed["sweeps"]]) == (1, ["damaged"])
        assert linked in listed["sweeps"][0]["error"]["message"]
    assert outside.read_text() == "of somebody else"
