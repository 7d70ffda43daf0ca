"""An interrupted trial resumes from its checkpoint, and ends as if nothing had happened, whatever became of that."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.results.loader import load
from regtune.storage.checkpoints import Checkpoints, Saved
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.resuming import SMALL, assert_same_results, by_key, ran, rows_of, stopped, trained_epochs
from tests.test_run import DRIVER

CELL = TrialKey("dropout", "search", 1)
TWICE = SMALL.replace("seeds = 2", 'seeds = 2\nretrain = "updates"')


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def undisturbed_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("undisturbed_twice"), TWICE)


def left(log: Path) -> list[str]:
    """Return what lies among the checkpoints of a sweep."""
    folder = log.parent / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("key", "number"),
    [
        pytest.param(CELL, 3, id="search"),
        pytest.param(TrialKey("dropout", "confirm", 0), 2, id="confirm"),
        pytest.param(TrialKey("dropout", "confirm", 0), 4, id="end-of-the-first-training"),
        pytest.param(TrialKey("dropout", "confirm", 0), 5, id="beginning-of-the-second-training"),
        pytest.param(TrialKey("dropout", "confirm", 0), 6, id="second-training"),
    ],
)
def test_a_trial_goes_on_after_the_epoch_of_its_checkpoint(
    undisturbed_twice: Path, key: TrialKey, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the epoch in which the driver died; the checkpoint is of the one before."""
    log = stopped(tmp_path, key, number, TWICE)
    assert left(log) == [f"{key.arm}-{key.phase}-{key.number}"]
    rows = len(read_log(log)[0])
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path, TWICE)
    assert trained[0][1] == number
    new = read_log(log)[0][rows:]
    started = next(row for row in new if row["event"] == "started")
    assert (started["cell"], started["after"]) == (list(key), number - 1), "the epoch of the checkpoint"
    assert next(row for row in new if row["event"] == "epoch")["epoch"]["number"] == number + 1
    assert_same_results(log, undisturbed_twice)
    assert left(log) == []


@pytest.mark.parametrize("row", [pytest.param(14, marks=pytest.mark.slow), 35])
def test_a_killed_driver_leaves_checkpoints_that_trials_go_on_from(
    undisturbed: Path, row: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the third epoch of a trial was written, in search and in confirm."""
    (tmp_path / "small.toml").write_text(SMALL)
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "small.toml"), str(tmp_path), str(row), "0"]
    killed = subprocess.run(command, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert killed.returncode == -signal.SIGKILL
    log = tmp_path / "small" / "log.jsonl"
    assert len(left(log)) == 1
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path)
    assert trained[0][1] == 3
    assert_same_results(log, undisturbed)
    assert left(log) == []


def _flipped(folder: Checkpoints) -> None:
    content = bytearray(folder.path(CELL).read_bytes())
    content[len(content) // 2] ^= 1
    folder.path(CELL).write_bytes(content)


def _truncated(folder: Checkpoints) -> None:
    content = folder.path(CELL).read_bytes()
    folder.path(CELL).write_bytes(content[: len(content) // 2])


def _empty(folder: Checkpoints) -> None:
    folder.path(CELL).write_bytes(b"")


def _no_table(folder: Checkpoints) -> None:
    folder.path(CELL).write_bytes(b"[1]\nbytes")


def _ahead(folder: Checkpoints) -> None:
    saved = folder.load(CELL)
    assert saved is not None
    folder.save(CELL, Saved(id=saved.id, epoch=4, content=saved.content))


def _of_another_version(folder: Checkpoints) -> None:
    saved = folder.load(CELL)
    assert saved is not None
    folder.save(CELL, Saved(id=saved.id, epoch=saved.epoch, content=b"written in another way"))


def _foreign(folder: Checkpoints) -> None:
    folder.save(CELL, Saved(id="another", epoch=1, content=b"no checkpoint"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_flipped, "expected bytes with the checksum of their first line"),
        (_truncated, "expected bytes with the checksum of their first line"),
        (_empty, "expected bytes with the checksum of their first line"),
        (_no_table, "expected bytes with the checksum of their first line"),
        (_ahead, "expected at most the 3 epochs that the log has, given 4"),
        (_of_another_version, "its checkpoint cannot be read (UnpicklingError"),
        (_foreign, None),
    ],
)
def test_a_trial_whose_checkpoint_is_damaged_begins_at_its_first_epoch(
    undisturbed: Path,
    damage: Callable[[Checkpoints], None],
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = stopped(tmp_path, CELL, 3)
    damage(Checkpoints(log.parent / "checkpoints"))
    with trained_epochs(monkeypatch) as trained, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        ran(tmp_path)
    texts = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert len(texts) == (said is not None)
    for text in texts:
        assert str(said) in text
        assert text.endswith(" restarts at its first epoch")
        assert len(text.splitlines()) == 1
    assert trained[0][1] == 1
    assert_same_results(log, undisturbed)
    assert left(log) == []


def test_what_a_dead_driver_left_of_ended_trials_is_removed(undisturbed: Path, tmp_path: Path) -> None:
    """Killed between the row that says so and the removal; and while a checkpoint was written."""
    rows, _ = read_log(undisturbed)
    end = next(n for n, row in enumerate(rows) if row["event"] == "ended" and row["cell"] == list(CELL))
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, rows[: end + 1])
    folder = log.parent / "checkpoints"
    folder.mkdir()
    for name in ("dropout-search-1", "dropout-search-1.half", "dropout-confirm-0.half"):
        (folder / name).write_bytes(b"left behind")
    ran(tmp_path)
    assert left(log) == []
    write_log(log, rows)  # of a finished sweep too, in which nothing is left to do
    (folder / "dropout-confirm-1").write_bytes(b"left behind")
    ran(tmp_path)
    assert left(log) == []


def full_disk(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_checkpoints_and_not_the_sweep(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.warns(UserWarning, match=r"checkpoints/\w+-\w+-\d: not written: No space left on device$"):
        log = ran(tmp_path)
    assert left(log) == []
    assert_same_results(log, undisturbed)


def test_a_full_disk_where_weights_are_kept_ends_the_run_and_the_next_one_goes_on(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SMALL.replace("weights = false", "weights = true").replace("checkpoint_seconds = 0", "")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            ran(tmp_path, text)
    log = tmp_path / "small" / "log.jsonl"
    assert list((log.parent / "weights").iterdir()) == []
    ran(tmp_path, text)
    assert_same_results(log, undisturbed)
    assert len(list((log.parent / "weights").iterdir())) == 4


def test_half_a_file_never_takes_the_place_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, whole = Checkpoints(tmp_path), Saved(id="a", epoch=1, content=b"whole\nbytes\n")
    folder.save(CELL, whole)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            folder.save(CELL, Saved(id="a", epoch=2, content=b"x" * 100_000))
    assert folder.load(CELL) == whole
    assert [path.name for path in tmp_path.iterdir()] == [folder.path(CELL).name]
    folder.drop(CELL)
    assert folder.load(CELL) is None
    folder.drop(CELL)  # what is not there is not missed


def test_every_cut_of_a_file_is_seen(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path)
    folder.save(CELL, Saved(id="a", epoch=1, content=b"bytes"))
    content = folder.path(CELL).read_bytes()
    for end in range(len(content)):
        folder.path(CELL).write_bytes(content[:end])
        with pytest.raises(Refused, match="checksum of their first line"):
            folder.load(CELL)


HUNGRY = '''
from dataclasses import dataclass
from regtune.regularizers import Forward, Regularizer

left = 0

@dataclass(frozen=True, kw_only=True)
class Hungry(Regularizer):
    """Asks for more memory than there is, `left` times."""

    def penalty(self, step: Forward):
        global left
        if left > 0:
            left -= 1
            raise MemoryError("no room\\nfor this")
        return 0.0
'''
FED = 'plugins = ["hungry_method"]\n' + SMALL.replace("dropout = { dropout = {} }", "hungry = { hungry = {} }")


@pytest.fixture
def hungry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "hungry_method.py").write_text(HUNGRY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "hungry_method", raising=False)
    return importlib.import_module("hungry_method")


def test_memory_that_is_there_again_costs_a_trial_nothing(hungry: ModuleType, tmp_path: Path) -> None:
    for name in ("fine", "short"):
        (tmp_path / name).mkdir()
    fine = ran(tmp_path / "fine", FED)
    vars(hungry)["left"] = 1
    short = ran(tmp_path / "short", FED)
    (fault,) = rows_of(short, "fault")
    assert (fault["cell"], fault["message"]) == (["hungry", "search", 0], "MemoryError: no room for this")
    assert_same_results(short, fine)
    trials = load(short).trials
    assert trials["faults"].sum() == 1
    assert trials.loc[(trials["arm"] == "hungry") & (trials["number"] == 0), "faults"].max() == 1
    assert set(trials["status"]) == {"ok"}


def test_too_many_faults_lose_a_trial_until_more_retries_are_allowed(hungry: ModuleType, tmp_path: Path) -> None:
    vars(hungry)["left"] = 10**9
    once = FED.replace("[cluster]", "[cluster]\nretries = 1")
    log = ran(tmp_path, once)
    trials = by_key(load(log))
    mine = trials[TrialKey("hungry", "search", 1)]
    assert (mine["status"], mine["faults"]) == ("lost", 2)
    assert mine["message"] == (
        "lost to 2 faults of the machine (cluster.retries), the last: MemoryError: no room for this"
    )
    assert trials[TrialKey("hungry", "confirm", 0)]["status"] == "missing"
    assert trials[TrialKey("baseline", "confirm", 0)]["status"] == "ok"
    before = log.read_bytes()
    ran(tmp_path, once)
    assert log.read_bytes() == before
    vars(hungry)["left"] = 0
    ran(tmp_path, FED)
    rows = by_key(load(log)).values()
    assert {(row["status"], row["message"]) for row in rows} == {("ok", "")}
    asked = [tuple(row["cell"]) for row in rows_of(log, "asked")]
    assert len(asked) == len(set(asked)) == len(rows)
