"""A log in segments is the log that it would be as one file, whoever reads it and wherever its writer was killed."""

from __future__ import annotations

import functools
import gzip
import io
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.execution import run as running
from regtune.execution.reuse import reusing
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.storage import blocks, segments
from regtune.storage.log import Log, LogFile, read_log
from tests.command_line import called
from tests.resuming import assert_same_results, ran, read, stopped, trained_epochs

TINY = 300
ROWS = [{"number": number, "text": "x" * (number * 37 % 90)} for number in range(40)]


class Killed(BaseException):
    """What no handler sees: the process is gone."""


def written(folder: Path, rows: list[dict[str, Any]], size: int = TINY) -> tuple[Path, list[int]]:
    """Write rows as a log; return it with their places."""
    path = folder / "log.jsonl"
    with Log(path, segment_bytes=size) as log:
        return path, [log.append("row", row) for row in rows]


def numbers(path: Path) -> list[int]:
    rows, torn = read_log(path)
    assert torn == 0
    return [row["number"] for row in rows]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs close a log as a segment after a few rows."""
    monkeypatch.setattr(running, "Log", functools.partial(Log, segment_bytes=4000))


def test_a_short_log_is_one_file(tmp_path: Path) -> None:
    written(tmp_path, ROWS, segments.SEGMENT_BYTES)
    assert names(tmp_path) == ["log.jsonl"]


@given(sizes=st.lists(st.integers(0, 400), max_size=30), limit=st.integers(1, 900), lives=st.sets(st.integers(0, 29)))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_and_places_are_those_of_one_file(
    sizes: list[int], limit: int, lives: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / str(time.monotonic_ns())
    monkeypatch.setattr("regtune.storage.log.time.time", lambda: 1.0)
    rows = [{"number": number, "text": "y" * size} for number, size in enumerate(sizes)]
    one, places = written(folder / "one", rows, 10**6)
    path, split = folder / "split" / "log.jsonl", list[int]()
    log = Log(path, segment_bytes=limit)
    for number, row in enumerate(rows):
        if number in lives:  # another driver goes on
            with log:
                pass
            log = Log(path, segment_bytes=limit)
        split.append(log.append("row", row))
        assert log.read(split[number // 2])["number"] == number // 2
    with log:
        pass
    assert split == places and read_log(path) == read_log(one)
    whole = b"".join(
        gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes()
        for part in sorted(path.parent.iterdir(), key=lambda part: part.name.replace("log.jsonl", "log-9"))
    )
    assert whole == one.read_bytes(), "gzip decompresses them, the seal goes through all"
    known = LogFile(path)
    known.hear()
    assert list(known.places) == places and [place for place, _ in known.replay()] == places
    assert [known.read(place)["number"] for place in reversed(places)] == [*range(len(rows))][::-1]


def test_a_segment_of_many_blocks_is_read_from_any_place(tmp_path: Path) -> None:
    rows = [{"number": number, "text": os.urandom(20_000).hex()} for number in range(12)]
    path, places = written(tmp_path, rows, 300_000)
    assert names(tmp_path) == ["log-000001.jsonl.gz", "log.jsonl"]
    known = LogFile(path)
    known.hear()
    for number in (7, 0, 11, 3, 8):
        assert known.read(places[number])["text"] == rows[number]["text"]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("link", ["log.jsonl"]),
        ("replace", ["log-000001.jsonl", "log.jsonl"]),  # of one file
        ("packed", ["log-000001.jsonl", "log.jsonl"]),
        ("renamed", ["log-000001.jsonl", "log-000001.jsonl.gz", "log.jsonl"]),
    ],
)
def test_a_kill_while_a_segment_is_closed_leaves_a_whole_log(
    where: str, left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = written(tmp_path / "now", ROWS[:5], 10**6)

    def kill(*_: object) -> None:
        raise Killed

    closes = len(path.read_bytes())
    with monkeypatch.context() as dying:
        if where == "link":
            dying.setattr(os, "link", kill)
        elif where == "replace":
            dying.setattr(Path, "replace", kill)
        elif where == "packed":
            dying.setattr(segments, "compress", kill)
        else:
            dying.setattr(Path, "unlink", kill)
        dying.setattr("threading.excepthook", lambda _: None)
        log = Log(path, segment_bytes=closes)
        if where in ("link", "replace"):
            with pytest.raises(Killed):
                log.append("row", ROWS[5])
        else:
            log.append("row", ROWS[5])
        log.__exit__(None, None, None)
    kept = [name for name in names(path.parent) if not name.endswith((".part", ".next"))]
    assert kept == left
    after = 5 if where in ("link", "replace") else 6
    assert numbers(path) == [*range(after)]
    copied = shutil.copytree(path.parent, tmp_path / "copy") / path.name
    if where == "renamed":  # the plain one counts
        (copied.parent / "log-000001.jsonl.gz").write_bytes(b"half")
        assert numbers(copied) == [*range(after)]
    with Log(path, segment_bytes=closes) as log:
        assert [row["number"] for row in log.rows] == [*range(after)]
        for row in ROWS[after:]:
            log.append("row", row)
    assert numbers(path) == [*range(len(ROWS))]
    assert all(name == "log.jsonl" or name.endswith(".jsonl.gz") for name in names(path.parent)), "nothing is left over"


def test_where_there_are_no_hard_links_the_log_stays_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    path, _ = written(tmp_path, ROWS)
    assert names(tmp_path) == ["log.jsonl"] and numbers(path) == [*range(len(ROWS))]


def test_a_reader_of_before_reads_on_where_the_log_was_closed_since(tmp_path: Path) -> None:
    path, places = written(tmp_path, ROWS[:20], 10**6)
    known = LogFile(path)
    known.hear()
    going = iter(known.reading())
    assert next(going)["number"] == 0
    with Log(path, segment_bytes=1) as log:
        for row in ROWS[20:23]:
            log.append("row", row)
        assert [row["number"] for row in going] == [*range(1, 20)]
        assert [known.read(place)["number"] for place in places] == [*range(20)]
    assert [row["number"] for _, row in known.replay()] == [*range(20)]


def test_a_writer_whose_file_was_closed_by_another_one_writes_nothing(tmp_path: Path) -> None:
    path, _ = written(tmp_path, ROWS[:3], 10**6)
    with Log(path) as first:
        segments.close_segment(path, 1)
        with pytest.raises(Refused, match="another regtune has taken this sweep over"):
            first.append("row", ROWS[3])
    assert numbers(path) == [0, 1, 2]


SAID = {
    "changed": "expected a row that regtune wrote, with its checksum",
    "cut": "given a file that was cut off; put back a copy",
    "lost": "put the segments of the log before it beside it",
    "torn": "expected",
    "by gzip": "given a file that is not in blocks; put back a copy, or where gzip made it of the plain file",
    "in other blocks": "given a file in blocks of other lengths",
}


@pytest.mark.parametrize("damage", SAID)
def test_a_damaged_segment_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    path, _ = written(tmp_path, ROWS[:12])
    packed = tmp_path / "log-000001.jsonl.gz"
    plain, content = packed.with_suffix(""), gzip.decompress(packed.read_bytes())
    if damage == "cut":
        packed.write_bytes(packed.read_bytes()[:-10])
    elif damage == "by gzip":
        packed.write_bytes(gzip.compress(content))
    elif damage == "in other blocks":
        part = tmp_path / "part"
        for piece in (content[:100], content[100:]):
            with part.open("ab") as target:
                blocks.compress(io.BytesIO(piece), target)
        part.replace(packed)
    else:
        packed.unlink()
        if damage != "lost":
            plain.write_bytes(content.replace(b"x", b"y", 1) if damage == "changed" else content[:-5])
    with pytest.raises(Refused) as caught:
        read_log(path)
    assert len(str(caught.value).splitlines()) == 1
    assert SAID[damage] in str(caught.value)
    with pytest.raises(Refused):
        Log(path)


def test_a_run_in_segments_resumes_bit_for_bit_and_every_reader_sees_one_log(
    tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tiny
    (tmp_path / "cut").mkdir()
    log = stopped(tmp_path / "cut", TrialKey("dropout", "confirm", 1), 2)
    assert (log.parent / "log-000001.jsonl.gz").exists()
    ran(tmp_path / "cut")
    (tmp_path / "whole").mkdir()
    with monkeypatch.context() as one:
        one.setattr(running, "Log", Log)
        whole = ran(tmp_path / "whole")
    assert names(whole.parent).count("log-000001.jsonl.gz") == 0
    assert_same_results(log, whole)
    joined = tmp_path / "joined" / "small" / "log.jsonl"
    joined.parent.mkdir(parents=True)
    parts = sorted(log.parent.glob("log-*.jsonl.gz"))
    joined.write_bytes(b"".join(gzip.decompress(part.read_bytes()) for part in parts) + log.read_bytes())
    for arguments in (
        ["table", "{}"],
        ["table", "{}", "--format", "csv"],
        ["trial", "{}", "--row", "dropout/confirm/1"],
    ):
        texts = [
            called(*(each.format(path.parent) for each in arguments), folder=tmp_path).stdout.replace(
                str(path.parent), "RESULTS"
            )
            for path in (log, joined)
        ]
        assert texts[0] == texts[1]
    assert load(log.parent).trials.equals(load(joined.parent).trials)
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path / "cut")
        sweep = read(tmp_path / "whole", (tmp_path / "whole" / "small.toml").read_text())
        run(reusing(sweep, [str(log.parent)]), tmp_path / "again", in_process=True)
    assert trained == []


def test_the_end_of_a_log_without_its_segments_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    path, _ = written(tmp_path / "whole", ROWS)
    alone = tmp_path / "copied" / path.name
    alone.parent.mkdir()
    shutil.copy(path, alone)
    with pytest.raises(Refused, match=r"log\.jsonl:1: .*; put the segments of the log before it beside it, if"):
        read_log(alone)
