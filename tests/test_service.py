"""What the service says of sweeps: what their logs say, in the words of the other commands."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import pytest

from regtune.core.records import Json
from regtune.reports.figures.catalog import drawn
from regtune.reports.formats import FORMATS
from regtune.reports.output import formatted
from regtune.reports.tables.folder import read_folder
from regtune.results.loader import load
from regtune.service.catalogue import Entry
from regtune.service.entries import REGISTRIES, entries
from regtune.service.runs import LOCK, file_of
from regtune.storage.layout import LOG
from regtune.storage.log import LogFile, read_log, sealed
from tests.conftest import write_log
from tests.made_up import made_up_log
from tests.served import error_of, served, settings

SCORES = {"baseline": [0.6, 0.61, 0.62], "dropout": [0.7, 0.71, 0.72]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with sweeps of all kinds, `one` the newest."""
    folder = tmp_path_factory.mktemp("results")
    made_up_log(folder / "one", SCORES)
    made_up_log(folder / "open", {"baseline": [0.6, None], "dropout": [None, 0.7]})
    made_up_log(folder / "repeated", SCORES)
    made_up_log(folder / "repeated" / "repeat-2", {"baseline": [0.6], "dropout": [0.8]}, repeat=2)
    damaged = made_up_log(folder / "damaged", SCORES) / LOG
    damaged.write_bytes(damaged.read_bytes().replace(b'"ok"', b'"OK"', 1))
    (folder / "notes").mkdir()
    (folder / "file").write_text("of something else")
    for age, name in enumerate(("one", "open", "repeated", "damaged")):
        os.utime(folder / name / LOG, (1e9 - age, 1e9 - age))
    return folder


@pytest.fixture(scope="module")
def client(results: Path) -> Iterator[httpx.Client]:
    with served(settings(results)) as client:
        yield client


def get(client: httpx.Client, path: str) -> Json:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_sweeps_are_listed_page_by_page_the_newest_in_front(client: httpx.Client) -> None:
    every = get(client, "/sweeps")
    assert [(sweep["name"], sweep["state"]) for sweep in every["sweeps"]] == [
        ("one", "finished"),
        ("open", "stopped"),
        ("repeated", "finished"),
        ("damaged", "damaged"),
    ]
    assert every["total"] == 4
    page = get(client, "/sweeps?offset=1&limit=2")
    assert (page["total"], page["offset"]) == (4, 1)
    assert page["sweeps"] == every["sweeps"][1:3]


def test_the_status_has_counts_by_arm_and_phase(client: httpx.Client) -> None:
    found = get(client, "/sweeps/open")
    assert found["counts"]["baseline"]["confirm"] == {"ok": 1, "missing": 1}
    assert found["trials"] == {"ok": 4, "pruned": 2, "failed": 2, "missing": 2}
    assert found["messages"]["dropout/search/2"] == "ValueError: <b>no</b> & such"
    assert (found["repeat"], found["repeats"]) == (1, 1)
    newest, first = get(client, "/sweeps/repeated"), get(client, "/sweeps/repeated?repeat=1")
    assert (newest["repeat"], first["repeat"], newest["repeats"]) == (2, 1, 2)
    assert newest["counts"]["baseline"]["confirm"] == {"ok": 1}
    assert first["counts"]["baseline"]["confirm"] == {"ok": 3}


def test_what_is_not_there_is_404_with_what_is_near(client: httpx.Client) -> None:
    for path, said in (
        ("/sweeps/opem", "did you mean 'open'?"),
        ("/sweeps/notes", "unknown sweep"),
        ("/sweeps/file", "expected a folder"),
        ("/sweeps/one?repeat=2", "expected at most 1"),
        ("/sweeps/one/figures/efects", "did you mean 'effects'?"),
        ("/catalogue/networks/mpl", "did you mean 'mlp'?"),
        ("/nothing", "Not Found"),
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert said in error_of(answer)["message"]


def test_rows_are_those_of_the_frames_filtered_and_paged(client: httpx.Client, results: Path) -> None:
    frames = load(results / "one")
    trials = get(client, "/sweeps/one/trials?arm=dropout&phase=confirm&limit=2&offset=1")
    mine = frames.trials[(frames.trials["arm"] == "dropout") & (frames.trials["phase"] == "confirm")]
    assert (trials["total"], trials["offset"]) == (3, 1)
    for row, expected in zip(trials["rows"], mine.iloc[1:].to_dict("records"), strict=True):
        assert row["test_accuracy"] == expected["test_accuracy"]
        assert row["params"] == expected["params"]
        assert row["test_loss"] is None  # which was not measured
    failed = get(client, "/sweeps/one/trials?status=failed")
    assert {row["message"] for row in failed["rows"]} == {"ValueError: <b>no</b> & such"}
    epochs = get(client, "/sweeps/one/epochs?arm=baseline&phase=search&number=0")
    assert [row["epoch"] for row in epochs["rows"]] == [1, 2, 3, 4]
    assert get(client, "/sweeps/repeated/trials?repeat=2&phase=confirm")["total"] == 2


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["one", "repeated"])
def test_tables_are_those_of_the_command(client: httpx.Client, results: Path, name: str, form: str) -> None:
    assert client.get(f"/sweeps/{name}/table?format={form}").text == formatted([results / name], form)


def test_figures_are_those_of_the_report(client: httpx.Client, results: Path) -> None:
    expected = {figure.name: figure for figure in drawn(read_folder(results / "one").first)}
    listed = client.get("/sweeps/one/figures").json()
    assert [(figure["name"], figure["why"]) for figure in listed] == [(f.name, f.why) for f in expected.values()]
    for figure in listed:
        answer = client.get(f"/sweeps/one/figures/{figure['name']}")
        if figure["why"]:
            assert answer.status_code == 404
            assert figure["why"] in error_of(answer)["message"]
        else:
            assert answer.json() == json.loads(json.dumps(expected[figure["name"]].spec))
    drawing = client.get("/sweeps/one/figures/effects?format=svg&theme=dark")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert drawing.text.startswith("<svg")


def read_events(client: httpx.Client, path: str, count: int, after: str | None = None) -> list[tuple[str, str, Json]]:
    """Return the first events of a stream: id, name and data."""
    headers = {} if after is None else {"Last-Event-ID": after}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line and not line.startswith(":"))
        found: list[tuple[str, str, Json]] = []
        while len(found) < count:
            fields = dict(line.split(": ", 1) for line in itertools.islice(lines, 2))
            if "id" in fields:
                fields |= dict([next(lines).split(": ", 1)])
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        return found


def append(path: Path, row: Json) -> None:
    """Write a row behind those of a log, as its writer does."""
    line, _ = sealed(row, _read_to_end(path))
    with path.open("ab") as file:
        file.write(line)


def _read_to_end(path: Path) -> int:
    reading = LogFile(path).reading()
    list(reading)
    return reading.seal


def test_events_are_the_rows_of_the_log_and_go_on_behind_any_of_them(tmp_path: Path) -> None:
    log = made_up_log(tmp_path / "one", SCORES) / LOG
    rows, _ = read_log(log)
    with served(settings(tmp_path)) as client:
        every = read_events(client, "/sweeps/one/events", len(rows))
        assert [data for _, _, data in every] == rows
        assert [name for _, name, _ in every] == [row["event"] for row in rows]
        assert every[-1][0] == get(client, "/sweeps/one")["event"]
    with served(settings(tmp_path)) as client:  # another service
        middle = len(rows) // 2
        assert read_events(client, "/sweeps/one/events", 3, every[middle][0]) == every[middle + 1 : middle + 4]
        assert read_events(client, f"/sweeps/one/events?after={every[middle][0]}", 1) == [every[middle + 1]]
        more = {"event": "limit", "message": "after 1 hour"}
        append(log, more)
        ((_, name, data),) = read_events(client, "/sweeps/one/events", 1, every[-1][0])
        assert (name, data) == ("limit", more)


def test_an_event_that_comes_later_is_heard(tmp_path: Path) -> None:
    log = made_up_log(tmp_path / "one", SCORES) / LOG
    with served(settings(tmp_path)) as client:
        end = get(client, "/sweeps/one")["event"]
        with client.stream("GET", "/sweeps/one/events", headers={"Last-Event-ID": end}) as answer:
            append(log, {"event": "limit", "message": "after 1 hour"})
            lines = list(itertools.islice(answer.iter_lines(), 3))
    assert lines[1] == "event: limit"


def test_who_watches_hears_how_a_sweep_stands_and_whenever_that_changes(tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", SCORES) / LOG)
    log = tmp_path / "results" / "one" / LOG
    write_log(log, rows[:-1])
    with served(settings(tmp_path / "results")) as client, client.stream("GET", "/sweeps/one/watch") as answer:
        heard = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        first = next(heard)
        assert first == get(client, "/sweeps/one")
        append(log, rows[-1])
        second = next(heard)
        assert second == get(client, "/sweeps/one")
        assert (first["state"], second["state"]) == ("stopped", "finished")
        with log.open("ab") as file:
            file.write(b"no row of a log\n{}\n")
        assert next(heard)["state"] == "damaged"


def test_the_rows_of_a_repeat_are_its_own_though_one_before_has_not_begun(tmp_path: Path) -> None:
    made_up_log(tmp_path / "one", {"baseline": [0.6], "dropout": [0.7]})
    write_log(tmp_path / "one" / "repeat-2" / LOG, [])
    made_up_log(tmp_path / "one" / "repeat-3", {"baseline": [0.6], "dropout": [0.8]}, repeat=3)
    with served(settings(tmp_path)) as client:
        (row,) = get(client, "/sweeps/one/trials?arm=dropout&phase=confirm&repeat=3")["rows"]
        assert row["test_accuracy"] == 0.8
        for path in ("trials", "figures"):
            answer = client.get(f"/sweeps/one/{path}?repeat=2")
            assert (answer.status_code, "expected one with trials" in error_of(answer)["message"]) == (404, True)


@pytest.mark.filterwarnings("ignore:.*cut off by a crash")
def test_the_newest_event_of_a_trial_is_that_of_a_log_whose_last_row_is_half_written(tmp_path: Path) -> None:
    log = made_up_log(tmp_path / "one", SCORES) / LOG
    with log.open("ab") as file:
        file.write(b'{"event":"lim')
    with served(settings(tmp_path)) as client:
        trial = get(client, "/sweeps/one/trials/dropout/confirm/0")
        assert trial["event"] == get(client, "/sweeps/one")["event"]


def test_who_watches_what_is_not_there_is_refused(client: httpx.Client) -> None:
    assert client.get("/sweeps/none/watch").status_code == 404


def test_events_of_another_log_or_a_damaged_one_end_with_a_problem(client: httpx.Client) -> None:
    end = get(client, "/sweeps/one")["event"]
    for path, after in (
        ("/sweeps/open/events", end.replace(end[-1], "0" if end[-1] != "0" else "1")),
        ("/sweeps/one/events", "999999999-00000000"),
        ("/sweeps/one/events", "17-00000000"),
    ):
        ((_, name, data),) = read_events(client, path, 1, after)
        assert name == "problem"
        assert data["error"]["message"]
    answer = client.get("/sweeps/one/events", headers={"Last-Event-ID": "../../etc"})
    assert (answer.status_code, "Last-Event-ID" in error_of(answer)["message"]) == (422, True)
    *_, (_, name, data) = read_events(client, "/sweeps/damaged/events", _damaged_at(client) + 1)
    assert name == "problem"
    assert "with its checksum" in data["error"]["message"]


def _damaged_at(client: httpx.Client) -> int:
    """Return how many rows of the damaged log can be read."""
    message = get(client, "/sweeps/damaged")["error"]["message"]
    return int(message.partition(f"{LOG}:")[2].partition(":")[0]) - 1


def test_a_damaged_log_is_a_structured_error_and_takes_nothing_down(client: httpx.Client) -> None:
    found = get(client, "/sweeps/damaged")
    assert found["state"] == "damaged"
    assert "with its checksum" in found["error"]["message"]
    for path in ("trials", "epochs", "table", "figures", "figures/effects"):
        answer = client.get(f"/sweeps/damaged/{path}")
        assert answer.status_code == 409
        assert "with its checksum" in error_of(answer)["message"]
    assert get(client, "/sweeps/one")["state"] == "finished"


def test_a_folder_that_cannot_be_read_is_not_the_end_of_the_list(tmp_path: Path) -> None:
    made_up_log(tmp_path / "one", SCORES)
    (tmp_path / "odd" / LOCK).mkdir(parents=True)
    file_of(tmp_path / "odd").write_text("")
    with served(settings(tmp_path)) as client:
        assert {each["name"]: each["state"] for each in get(client, "/sweeps")["sweeps"]}["one"] == "finished"


def test_a_log_that_is_too_large_is_not_read(results: Path) -> None:
    size = (results / "one" / LOG).stat().st_size
    with served(settings(results, most_log_bytes=size - 1)) as client:
        assert get(client, "/sweeps/one")["state"] == "damaged"
        answer = client.get("/sweeps/one/table")
        assert answer.status_code == 413
        assert "--max-log" in error_of(answer)["message"]
        assert client.get("/sweeps/one/events").status_code == 413
    with served(settings(results, most_log_bytes=size)) as client:
        assert get(client, "/sweeps/one")["state"] == "finished"


def test_what_is_read_follows_the_log(tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", SCORES) / LOG)
    log = tmp_path / "results" / "one" / LOG
    write_log(log, rows[:-1])
    with served(settings(tmp_path / "results")) as client:
        assert get(client, "/sweeps/one")["state"] == "stopped"
        before = client.get("/sweeps/one/table").text
        write_log(log, rows)
        assert get(client, "/sweeps/one")["state"] == "finished"
        after = client.get("/sweeps/one/table").text
        assert after == formatted([log.parent], "md") != before


def test_the_catalogue_has_every_knob_and_its_defaults_are_legal() -> None:
    found = {kind: [Entry(**each) for each in every] for kind, every in entries(()).items()}
    assert found.keys() == REGISTRIES.keys()
    for kind, every in found.items():
        assert [entry.name for entry in every] == [*REGISTRIES[kind].all()]
        for entry in every:
            jsonschema.Draft202012Validator.check_schema(entry.knobs)
            settings = {name: knob["default"] for name, knob in entry.knobs["properties"].items()}
            jsonschema.validate(settings, entry.knobs)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({"nothing": 1}, entry.knobs)
    (dropout,) = (entry for entry in found["regularizers"] if entry.name == "dropout")
    hidden = dropout.knobs["properties"]["p_hidden"]
    assert (hidden["minimum"], hidden["exclusiveMaximum"], hidden["x-neutral"]) == (0, 1, 0.0)
    assert hidden["x-search"] == {"low": 0.1, "high": 0.7}


def test_one_entry_and_the_schema_of_a_file(client: httpx.Client) -> None:
    every = get(client, "/catalogue")
    assert get(client, "/catalogue/networks/mlp") in every["networks"]
    assert {"data", "network", "training", "arms"} <= set(get(client, "/schema")["required"]) | {"arms"}
    assert get(client, "/about")["plugins"] == []


def test_the_description_of_the_api_names_every_path_and_refusal(client: httpx.Client) -> None:
    paths = get(client, "/openapi.json")["paths"]
    assert len(paths) == 19
    for path, methods in paths.items():
        assert path.startswith("/api/v1/")
        for method in methods.values():
            assert {"200", "202"} & method["responses"].keys()
            assert {"401", "403", "404", "422"} <= method["responses"].keys()
            assert method["description"]
