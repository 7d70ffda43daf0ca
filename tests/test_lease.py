"""Whose sweep it is: a lease lasts while its driver lives, and who has lost it writes nothing any more."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.results.loader import load
from regtune.storage import lease
from regtune.storage.log import Log, read_log
from tests.conftest import write_log
from tests.resuming import SMALL, assert_same_results, ran, rows_of

ELSEWHERE = {"host": "other boot-of-another-machine", "pid": 12}


def held_elsewhere(path: Path, seconds: float = 30.0, age: float = 0.0) -> list[Json]:
    """Write the log of a driver on another machine that was heard of `age` seconds ago, and return its rows."""
    rows = [{"event": "lease", "time": time.time() - age, **ELSEWHERE, "seconds": seconds}]
    write_log(path, rows)
    return rows


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the sleeps that were asked for; none of them takes time."""
    sleeps: list[float] = []
    monkeypatch.setattr("regtune.storage.lease.time.sleep", sleeps.append)
    return sleeps


def test_a_run_that_ends_lets_its_lease_go(tmp_path: Path, slept: list[float]) -> None:
    log = ran(tmp_path)
    first, last = rows_of(log, "lease")
    assert read_log(log)[0][-1] == last
    assert (first["host"], last["host"]) == (lease.here(), lease.here())
    assert (first["seconds"], last["seconds"]) == (lease.SECONDS, 0.0)
    assert lease.ends(read_log(log)[0], last["time"]) == 0.0
    assert slept == []


def test_a_run_that_fails_leaves_its_lease_to_run_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(RuntimeError), Log(path) as log, lease.held(log, seconds=20.0):
        raise RuntimeError
    rows, _ = read_log(path)
    assert [row["seconds"] for row in rows] == [20.0]
    assert lease.ends(rows, rows[-1]["time"]) == rows[-1]["time"] + 20.0


def test_the_lease_of_a_silent_driver_elsewhere_is_waited_for_and_taken(tmp_path: Path, slept: list[float]) -> None:
    path, said = tmp_path / "log.jsonl", list[str]()
    held_elsewhere(path, seconds=30.0, age=10.0)
    with Log(path) as log, lease.held(log, waiting=said.append):
        (waited,) = slept
        assert 20.0 < waited < 22.0
    (text,) = said
    assert text.startswith(f"{path}: the driver on other (process 12) was active a moment ago; waiting ")
    assert len(text.splitlines()) == 1
    hosts = [row["host"] for row in read_log(path)[0]]
    assert hosts == [ELSEWHERE["host"], lease.here(), lease.here()]


def test_a_clock_that_is_ahead_elsewhere_does_not_make_us_wait_longer_than_the_lease(
    tmp_path: Path, slept: list[float]
) -> None:
    held_elsewhere(tmp_path / "log.jsonl", seconds=30.0, age=-3600.0)
    with Log(tmp_path / "log.jsonl") as log, lease.held(log):
        assert slept == [31.0]


def test_a_driver_elsewhere_that_writes_meanwhile_keeps_its_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    rows = held_elsewhere(path)
    more = [*rows, {**rows[0], "time": time.time()}]
    monkeypatch.setattr("regtune.storage.lease.time.sleep", lambda seconds: write_log(path, more))
    with Log(path) as log, pytest.raises(Refused) as caught, lease.held(log):
        pytest.fail("the lease is another's")
    assert str(caught.value) == (
        f"{path}: the driver on other (process 12) is running this sweep; wait for it or stop it"
    )
    assert read_log(path)[0] == more


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no-lease"),
        pytest.param([{**ELSEWHERE, "seconds": 30.0, "time": time.time() - 31.0}], id="it-ran-out"),
        pytest.param([{**ELSEWHERE, "seconds": 0.0, "time": time.time()}], id="it-was-let-go"),
        pytest.param(
            [{"host": f"container {lease.here().split()[-1]}", "pid": 1, "seconds": 30.0, "time": time.time()}],
            id="of-this-machine",
        ),
    ],
)
def test_nobody_is_waited_for_who_cannot_be_alive(rows: list[Json], tmp_path: Path, slept: list[float]) -> None:
    write_log(tmp_path / "log.jsonl", [{"event": "lease", **row} for row in rows])
    with Log(tmp_path / "log.jsonl") as log, lease.held(log):
        assert slept == []


def test_a_sweep_of_a_dead_machine_goes_on_elsewhere(tmp_path: Path, slept: list[float]) -> None:
    (tmp_path / "whole").mkdir()
    whole = ran(tmp_path / "whole")
    rows, _ = read_log(whole)
    cut = [{**row, "time": time.time()} for row in rows[: len(rows) // 2]]
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, [{**row, **ELSEWHERE} if row["event"] == "lease" else row for row in cut])
    said: list[str] = []
    ran(tmp_path, SMALL, say=said.append)
    assert len(slept) == 1
    assert len(said) == 1
    assert_same_results(log, whole)


def test_a_silent_driver_renews_its_lease_and_stops_at_the_end(tmp_path: Path) -> None:
    path, before = tmp_path / "log.jsonl", threading.active_count()
    with Log(path) as log:
        with lease.held(log, seconds=0.3):
            time.sleep(0.6)
            rows, torn = read_log(path)
            assert torn == 0
            assert len(rows) >= 3
            assert lease.ends(rows, rows[-1]["time"]) > time.time()
        assert threading.active_count() == before
        size = path.stat().st_size
        time.sleep(0.25)
        assert path.stat().st_size == size
    assert {row["event"] for row in rows} == {"lease"}


def test_a_driver_that_writes_needs_no_renewal(tmp_path: Path) -> None:
    with Log(tmp_path / "log.jsonl") as log, lease.held(log, seconds=3.0):
        for number in range(30):
            log.append("row", {"number": number})
            time.sleep(0.01)
    events = [row["event"] for row in read_log(tmp_path / "log.jsonl")[0]]
    assert events == ["lease", *["row"] * 30, "lease"]


def test_a_writer_whose_log_grew_under_it_writes_nothing_any_more(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.append("row", {"number": 0})
        with path.open("ab") as other:
            other.write(b"a row of another driver\n")
        before = path.read_bytes()
        for _ in range(2):
            with pytest.raises(Refused, match="another regtune has taken this sweep over; this one ends"):
                log.append("row", {"number": 1})
        assert path.read_bytes() == before


def test_what_another_wrote_while_the_log_was_read_is_seen_too(tmp_path: Path) -> None:
    """The rows that are known and the size that is expected are of the same moment."""
    path = tmp_path / "log.jsonl"
    held_elsewhere(path)

    class Slow:
        def begin(self) -> None:
            pass

        def take(self, place: int, row: Json) -> None:
            with path.open("ab") as other:
                other.write(b"a row of another driver\n")

    log = Log(path, Slow())
    with log, pytest.raises(Refused, match="taken this sweep over"):
        log.append("row", {})


def test_a_sweep_that_was_taken_over_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "small" / "log.jsonl"

    def take_over(event: str, row: Json) -> None:
        if event == "epoch" and row["epoch"]["number"] == 2:
            with path.open("ab") as other:
                other.write(b"a row of another driver\n")

    with pytest.raises(Refused, match="taken this sweep over") as caught:
        ran(tmp_path, watch=take_over)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes().endswith(b"\na row of another driver\n")


def test_rows_of_many_threads_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    def write(log: Log, name: int) -> None:
        for number in range(100):
            log.append("row", {"thread": name, "number": number, "filler": "x" * (number * 37 % 900)})

    with Log(path) as log:
        threads = [threading.Thread(target=write, args=(log, name)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows, torn = read_log(path)  # raises where the chain of checksums is broken
    assert torn == 0
    for name in range(6):
        assert [row["number"] for row in rows if row["thread"] == name] == list(range(100))
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


@pytest.mark.parametrize(("age", "status"), [(0.0, "running"), (lease.SECONDS + 1, "interrupted")])
def test_a_trial_is_running_while_the_lease_lasts_and_interrupted_after(
    age: float, status: str, tmp_path: Path
) -> None:
    rows, _ = read_log(ran(tmp_path))
    place = next(n for n, row in enumerate(rows) if row["event"] == "epoch")
    recent = [{**row, "time": time.time() - age} for row in rows[: place + 1]]
    write_log(tmp_path / "cut" / "log.jsonl", recent)
    counts = load(tmp_path / "cut").trials["status"].value_counts().to_dict()
    assert counts == {status: 1, "missing": 7}


def test_nothing_runs_once_the_lease_was_let_go(tmp_path: Path) -> None:
    rows, _ = read_log(ran(tmp_path))
    place = next(n for n, row in enumerate(rows) if row["event"] == "epoch")
    write_log(tmp_path / "cut" / "log.jsonl", [*rows[: place + 1], {**rows[-1], "time": time.time()}])
    assert "running" not in set(load(tmp_path / "cut").trials["status"])
