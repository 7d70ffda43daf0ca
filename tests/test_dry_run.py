"""A dry run says what a run would do, and does nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.cli.dry_run import forecast
from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.execution.run import RunOptions
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.resuming import SMALL, ran, read, rows_of, stopped


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("finished"))


def printed(folder: Path, text: str) -> list[str]:
    """Return the lines of a dry run, cells of the table apart by one blank."""
    console = Console(file=io.StringIO(), width=300)
    console.print(forecast(read(folder, text), folder, RunOptions()))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.replace("│", " ").split()) for line in console.file.getvalue().splitlines()]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below a folder with its content and the time of its last change."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_without_results_all_is_to_be_trained_and_nothing_is_made(tmp_path: Path) -> None:
    lines = printed(tmp_path, SMALL)
    assert "baseline 0 0 2 0 0 2" in lines
    assert "dropout 0 0 2 0 0 2" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_a_finished_sweep_has_nothing_left(finished: Path) -> None:
    before = contents(finished.parent)
    assert "baseline 2 0 0 2 0 0" in printed(finished.parent.parent, SMALL)
    assert contents(finished.parent) == before


def test_what_a_changed_file_adds_is_said(finished: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "small" / "log.jsonl", read_log(finished)[0])
    text = SMALL.replace("seeds = 2", "seeds = 5\naa = false").replace("[search]", "l2 = { l2 = {} }\n[search]")
    lines = printed(tmp_path, text)
    assert lines[:2] == ["added: confirm.seeds: 2 -> 5", "added: new arm l2"]
    assert "dropout 2 0 0 0 0 5" in lines  # search is not over, and another choice would be confirmed again
    assert "l2 0 0 2 0 0 5" in lines
    lines = printed(tmp_path, SMALL.replace("seeds = 2", "seeds = 5\naa = false"))
    assert "dropout 2 0 0 2 0 3" in lines


def test_trials_that_go_on_are_named_with_their_epochs_and_the_folder_is_left_alone(tmp_path: Path) -> None:
    log = stopped(tmp_path, TrialKey("dropout", "search", 1), 3)
    with log.open("ab") as file:
        file.write(b'{"torn')
    before = contents(log.parent)
    lines = printed(tmp_path, SMALL)
    assert lines[0] == "the last line of the log was cut off by a crash and is ignored"
    assert "dropout/search/1 resumes; the log has 3 of its epochs" in lines
    assert "baseline 2 0 0 0 0 2" in lines
    assert "dropout 1 1 0 0 0 2" in lines
    assert contents(log.parent) == before


def test_an_end_that_is_not_written_yet_is_not_written_by_a_dry_run(tmp_path: Path) -> None:
    log = stopped(tmp_path, TrialKey("dropout", "search", 1), 4)
    before = contents(log.parent)
    assert "dropout 1 1 0 0 0 2" in printed(tmp_path, SMALL)
    assert contents(log.parent) == before


def test_an_arm_without_a_choice_has_nothing_to_confirm(finished: Path, tmp_path: Path) -> None:
    rows = [r for r in read_log(finished)[0] if r.get("cell", [])[:2] != ["dropout", "confirm"]]
    for row in rows:
        if row["event"] == "ended" and row["cell"][0] == "dropout":
            row["outcome"]["status"] = "failed"
    write_log(tmp_path / "small" / "log.jsonl", rows)
    assert "dropout 2 0 0 0 0 0" in printed(tmp_path, SMALL)


def test_lost_trials_go_on_where_more_retries_are_allowed(finished: Path, tmp_path: Path) -> None:
    rows, lost = [], ["dropout", "search", 1]
    for row in read_log(finished)[0]:
        if row["event"] == "ended" and row["cell"] == lost:
            rows += [{"event": "fault", "time": row["time"], "cell": lost, "message": "", "node": ""}] * 4
            row["outcome"]["status"] = "lost"
        rows.append(row)
    write_log(tmp_path / "small" / "log.jsonl", rows)
    assert "dropout 2 0 0 2 0 0" in printed(tmp_path, SMALL)
    assert "dropout 1 1 0 0 0 2" in printed(tmp_path, SMALL.replace("[cluster]", "[cluster]\nretries = 4"))


def test_a_dry_run_refuses_what_a_run_refuses(finished: Path, tmp_path: Path) -> None:
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, read_log(finished)[0])
    changed = SMALL.replace("epochs = 4", "epochs = 5")
    with pytest.raises(Refused) as dry:
        printed(tmp_path, changed)
    with pytest.raises(Refused) as real:
        ran(tmp_path, changed)
    assert str(dry.value) == str(real.value)
    log.write_bytes(b"damaged\n" + log.read_bytes())
    with pytest.raises(Refused, match=r"log\.jsonl:1: expected a row"):
        printed(tmp_path, SMALL)


def test_the_command_starts_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    words = ["run", str(tmp_path / "small.toml"), "--dry-run", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "nothing was started" in " ".join(done.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_what_is_forecast_is_what_happens(tmp_path: Path) -> None:
    log = stopped(tmp_path, TrialKey("baseline", "confirm", 1), 2)
    lines = printed(tmp_path, SMALL)
    assert "baseline 2 0 0 1 1 0" in lines
    assert "dropout 2 0 0 1 0 1" in lines
    rows = len(read_log(log)[0])
    ran(tmp_path)
    new = read_log(log)[0][rows:]
    assert [row["cell"] for row in new if row["event"] == "started"] == [
        ["baseline", "confirm", 1],
        ["dropout", "confirm", 1],
    ]
    assert len(rows_of(log, "asked")) == 8
