"""Parquet files: what other tools read is what the frames of the log say."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from regtune.core.records import Json
from regtune.results.loader import Results, load
from regtune.results.parquet import write_frames
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.made_up import RATE, made_up_log
from tests.test_tables import BETTER, HOSTILE, SPREAD

KNOBS: list[Json] = [{RATE: 0.01, "dropout.switch": k % 2 == 1, "mixing.one_of": "none"} for k in range(3)]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    arms: dict[str, tuple[float | None, ...]] = {"base": SPREAD, HOSTILE: (*BETTER[:3], None)}
    return load(made_up_log(tmp_path / "results", arms, knobs={HOSTILE: KNOBS}))


def test_the_files_are_the_frames(results: Results, tmp_path: Path) -> None:
    paths = write_frames(results, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["trials.parquet", "epochs.parquet"]
    assert sorted(tmp_path.glob("new/folder/*")) == sorted(paths)
    trials, epochs = map(pd.read_parquet, paths)
    assert [json.loads(text) for text in trials["params"]] == results.trials["params"].to_list()
    pd.testing.assert_frame_equal(trials.drop(columns="params"), results.trials.drop(columns="params"))
    pd.testing.assert_frame_equal(epochs, results.epochs)
    assert list(trials) == list(results.trials)
    assert {"pruned", "failed", "missing"} <= set(trials["status"])


def test_superseded_epochs_are_written_and_gone_when_there_are_none(tmp_path: Path) -> None:
    """An arm was confirmed by its first choice, then search was extended and found a better one."""
    folder = made_up_log(tmp_path, {"base": SPREAD[:2]}, search=["ok", "ok"])
    rows, _ = read_log(folder / "log.jsonl")
    for row in rows:
        if row["event"] == "asked" and row["cell"][1] == "confirm":
            row["params"] = {RATE: 0.001}
    write_log(folder / "log.jsonl", rows)
    results = load(folder)
    *_, superseded = write_frames(results, folder)
    assert superseded.name == "superseded.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(superseded), results.superseded)
    assert len(results.superseded) == 8
    write_frames(load(made_up_log(tmp_path, {"base": SPREAD[:2]}, search=["ok", "ok"])), folder)
    assert not superseded.exists()


def test_a_log_without_epochs_gives_empty_files(tmp_path: Path) -> None:
    paths = write_frames(load(made_up_log(tmp_path, {"base": (None,)}, search=())), tmp_path)
    trials, epochs = map(pd.read_parquet, paths)
    assert (len(trials), len(epochs)) == (1, 0)
