"""The log keeps every row that was written, whatever ends its writer, and says where it is damaged."""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.storage.layout import log_in
from regtune.storage.log import Log, LogFile, Reading, read_log, sealed

ROWS: list[dict[str, Any]] = [
    {"trial": {"seed": 1, "recipe": []}, "loss": 0.1 + 0.2},
    {"text": "a\nb \u2028 \x7f é 🎲", "none": None, "flag": True},
    {"small": 5e-324, "large": 1.7976931348623157e308, "whole": 2**63},
]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
WRITER = """
import sys
from pathlib import Path
from regtune.storage.log import Log
with Log(Path(sys.argv[1])) as log:
    for number in range(10**9):
        log.append("row", {"number": number, "filler": "x" * (number * 7919 % 20_000)})
        if number == 0:
            print("ready", flush=True)
"""


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with Log(path) as log:
        for row in rows:
            log.append("row", row)


def fields(path: Path) -> list[dict[str, Any]]:
    """Return what was given to `append`, read from the file."""
    rows, torn = read_log(path)
    assert torn == 0
    assert all(row["event"] == "row" and isinstance(row["time"], float) for row in rows)
    return [{name: value for name, value in row.items() if name not in ("event", "time")} for row in rows]


def refusal(path: Path) -> str:
    with pytest.raises(Refused) as caught:
        Log(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@given(rows=st.lists(st.dictionaries(st.text().map(lambda name: f"_{name}"), PLAIN), max_size=4))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_come_back_as_they_were_written(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    write(path, rows)
    assert fields(path) == rows


@given(
    number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63),
    text=st.text(st.characters(codec="utf-8")),
)
@settings(deadline=None, max_examples=200)
def test_the_reader_of_epochs_reads_as_json_does(number: float, text: str) -> None:
    lines, seal = [], 0
    row = {"event": "epoch", "epoch": {"loss": number, "none": None, "text": text}}
    for event in ("epoch", "row"):  # the second is read by the standard library
        line, seal = sealed(row | {"event": event}, seal)
        lines.append(line)
    quick, plain = Reading([(Path("log.jsonl"), lines)])
    assert repr(quick["epoch"]) == repr(plain["epoch"]) == repr(row["epoch"])  # to the last bit, and the sign of 0


def test_a_compressed_log_is_read_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        for row in ROWS:
            log.append("row", row)
        place = log.append("row", {"last": 1})
    rows = read_log(path)
    compressed = tmp_path / "log.jsonl.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert log_in(tmp_path) == path
    path.unlink()
    assert log_in(tmp_path) == compressed
    assert read_log(compressed) == rows
    known = LogFile(compressed)
    known.hear()
    assert list(known.reading()) == rows[0] and known.read(place)["last"] == 1
    with pytest.raises(Refused, match=r"log\.jsonl\.gz: expected log\.jsonl, given a compressed log.*gunzip"):
        Log(path)
    assert not path.exists()
    whole = compressed.read_bytes()
    for damaged in (whole[:-12], b"no gzip", whole[:30] + b"\0" * 30 + whole[60:]):
        compressed.write_bytes(damaged)
        with pytest.raises(Refused, match=r"log\.jsonl\.gz: expected a log that gzip compressed, given"):
            read_log(compressed)


def test_a_row_is_in_the_file_when_append_returns_and_a_later_writer_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.jsonl"
    with Log(path) as log:
        assert log.rows == [] and log.torn == 0
        for count, row in enumerate(ROWS, start=1):
            log.append("row", row)
            assert fields(path) == ROWS[:count]
    with Log(path) as log:
        assert log.rows == read_log(path)[0] and log.torn == 0
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_last_line_torn_at_any_byte_is_dropped_and_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, ROWS[:2])
    whole = path.stat().st_size
    write(path, ROWS[2:])
    content = path.read_bytes()
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        assert (len(read_log(path)[0]), read_log(path)[1]) == (2, end - whole)
        with Log(path) as log:
            assert (len(log.rows), log.torn) == (2, end - whole)
            log.append("row", {"after": end})
        assert fields(path) == [*ROWS[:2], {"after": end}]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b'{"event": "row", "ti', id="torn"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\0\0", id="zeros"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b'{"event": "row"}{"event": "row"}', id="two-rows"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"{}", id="no-event"),
        pytest.param(b'{"event": 3}', id="event-number"),
        pytest.param(b'{"event": "row", "loss": NaN}', id="NaN"),
    ],
)
def test_a_damaged_line_in_the_middle_is_refused_with_its_place(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, ROWS)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]))
    before = path.read_bytes()
    assert refusal(path).startswith(f"{path}:2: expected ")
    with pytest.raises(Refused, match=r"log\.jsonl:2: expected "):
        read_log(path)
    assert path.read_bytes() == before


def test_a_writer_that_was_refused_lets_go_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"damaged\n")
    assert refusal(path) == refusal(path)
    path.write_bytes(b"")  # repaired by hand
    write(path, ROWS)
    assert fields(path) == ROWS


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as first:
        first.append("row", ROWS[0])
        assert refusal(path).startswith(f"{path}: another regtune is writing this log")
        first.append("row", ROWS[1])
        assert fields(path) == ROWS[:2]
    write(path, ROWS[2:])
    assert fields(path) == ROWS


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_not_written(number: float, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        with pytest.raises(ValueError, match="JSON"):
            log.append("row", {"deep": [{"loss": number}]})
        log.append("row", ROWS[0])
    assert fields(path) == ROWS[:1]


def test_a_row_cut_by_a_full_disk_is_an_error_and_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, space, really_write = tmp_path / "log.jsonl", [20], os.write

    def write_what_fits(file: int, data: bytes) -> int:
        if not space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really_write(file, data[: space.pop()])

    with Log(path) as log:
        log.append("row", ROWS[0])
        with monkeypatch.context() as full_disk:
            full_disk.setattr(os, "write", write_what_fits)
            with pytest.raises(OSError, match=r"disk|space"):
                log.append("row", ROWS[1])
        log.append("row", ROWS[2])  # there is space again
    assert fields(path) == [ROWS[0], ROWS[2]]


@pytest.mark.parametrize("repeat", range(5))
def test_a_killed_writer_leaves_whole_rows_and_at_most_one_torn_line(repeat: int, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for progress in (1, 2):  # the second life goes on in what the first one left
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
            time.sleep(0.003 * (7 * repeat + progress))
            os.kill(writer.pid, signal.SIGKILL)
        rows, torn = read_log(path)
        numbers = [row["number"] for row in rows]
        starts = [place for place, number in enumerate(numbers) if number == 0]
        recovery = [numbers[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
        assert len(recovery) == progress and all(numbers == list(range(len(numbers))) for numbers in recovery)
        assert all(len(row["filler"]) == row["number"] * 7919 % 20_000 for row in rows)
        assert torn < 20_200
    with Log(path) as log:
        assert len(log.rows) == len(rows)
        log.append("row", {"after": repeat})
    assert read_log(path)[0][-1]["after"] == repeat
