"""Where a disk is full, a quota used up or a file too large: one line names the file and what may be deleted."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from regtune.core.writing import NO_ROOM, NoRoom, room_for, write, write_atomically
from regtune.data._cache import cached
from regtune.data._examples import Examples
from regtune.data._splits import Pool
from regtune.execution.attempt import is_fault
from tests.command_line import called
from tests.resuming import SMALL, assert_same_results, ran, rows_of

REMEDY = "and run the same command again: a run resumes from its log"
FREES = (
    "; of a results folder only the log has to stay, log.jsonl and log-* (weights, checkpoints, tables and reports may "
    "be deleted)"
)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system write no file larger than so many bytes, for the time of the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def refuse(kind: int) -> None:
    raise OSError(kind, os.strerror(kind))


@pytest.mark.parametrize("kind", NO_ROOM)
def test_every_kind_names_the_file_and_a_remedy_in_one_line(kind: int) -> None:
    with pytest.raises(NoRoom) as caught, room_for(Path("results/small/log.jsonl")):
        refuse(kind)
    error, line = caught.value, str(caught.value)
    assert (error.errno, error.filename, len(line.splitlines())) == (kind, "results/small/log.jsonl", 1)
    assert line.startswith(f"results/small/log.jsonl: {os.strerror(kind)}; ") and REMEDY in line
    assert ("ulimit -f" in line) == (kind == errno.EFBIG) != (FREES in line)
    assert is_fault(error), "of a trial's own writing: another attempt may find room"


def test_what_is_no_want_of_room_is_left_as_it_is() -> None:
    with pytest.raises(PermissionError), room_for(Path("file")):
        refuse(errno.EACCES)
    assert not is_fault(PermissionError(errno.EACCES, "no"))


def test_a_run_whose_log_finds_no_room_ends_in_one_line_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    with files_of_at_most(12_000):
        done = called("run", "small.toml", "--in-process", folder=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith("regtune: results/small/log.jsonl: File too large; raise the limit on the size of a file")
    log = tmp_path / "results" / "small" / "log.jsonl"
    assert rows_of(log, "epoch") and not rows_of(log, "ended")[4:], "it has a part, and no torn row"
    (tmp_path / "whole").mkdir()
    ran(tmp_path / "results")
    assert_same_results(log, ran(tmp_path / "whole"))


def test_a_run_whose_weights_find_no_room_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.toml").write_text(
        SMALL.replace("weights = false", "").replace("checkpoint_seconds = 0", "").replace("trials = 2", "trials = 1")
    )
    monkeypatch.setattr(os, "fsync", lambda file: refuse(errno.EDQUOT))
    done = called("run", "small.toml", "--in-process", folder=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and REMEDY in line and FREES in line
    assert line.startswith("regtune: results/small/weights/baseline-confirm-0: Disk quota exceeded; make room ")


def test_tables_and_reports_stay_as_they_were_where_new_ones_find_no_room(tmp_path: Path) -> None:
    log = ran(tmp_path, SMALL.replace("seeds = 2", "seeds = 3\naa = false"))
    before = dict.fromkeys(("table.md", "trials.parquet", "report.html"), "old")
    for name, text in before.items():
        (log.parent / name).write_text(text)
    with files_of_at_most(1000):
        for words, name in (
            (("run", "small.toml", "--in-process", "--results", "."), "table.md"),
            (("frames", "small"), "trials.parquet"),
            (("report", "small"), "report.html"),
        ):
            done = called(*words, folder=tmp_path)
            assert done.returncode == 2
            assert done.stderr.startswith(f"regtune: small/{name}: File too large; ") and REMEDY in done.stderr
    assert {name: (log.parent / name).read_text() for name in before} == before
    assert not list(log.parent.glob("*.part"))


def test_an_export_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    log = ran(tmp_path, SMALL.replace("weights = false", "").replace("trials = 2", "trials = 1"))
    with files_of_at_most(1000):
        done = called("export", log.parent, "--arm", "dropout", "--to", "net", folder=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("regtune: net/dropout.pt: File too large; ")
    assert list((tmp_path / "net").iterdir()) == []


def test_pictures_that_find_no_room_are_decoded_and_the_run_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    examples = Examples.of(images=torch.zeros(400, 1, 8, 8, dtype=torch.uint8), labels=torch.arange(400) % 2)
    pool = Pool(train=examples, test=None, classes=2)
    original = tmp_path / "original"
    original.write_text("")
    with files_of_at_most(9000), pytest.warns(UserWarning) as said:
        assert cached(tmp_path, "own", {}, [original], lambda: pool) is pool
    (text,) = [str(warning.message) for warning in said]
    assert f"{tmp_path}/regtune-cache/own-" in text and f"{tmp_path}/home/regtune/" in text
    assert text.count("File too large") == 2 and text.endswith("and the next run decodes them again")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != original]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached(tmp_path, "own", {}, [original], lambda: pool)
        again = cached(tmp_path, "own", {}, [original], lambda: pytest.fail("it is there"))
    assert again.train.source.equal(pool.train.source)


def test_links_and_what_is_no_file_are_written_to_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    with write_atomically(tmp_path / "pipe") as target:
        assert target == tmp_path / "pipe"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()
