"""The page of a trial that runs, and of one of a later repeat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from regtune.core.records import Json
from regtune.storage.layout import LOG, repeat_folder
from regtune.storage.log import Log, read_log
from tests.conftest import OnPage, write_log
from tests.made_up import made_up_log
from tests.served import settings

pytestmark = pytest.mark.browser
ARMS = {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]}


def fields(row: Json) -> tuple[str, dict[str, Any]]:
    return row["event"], {name: value for name, value in row.items() if name not in ("event", "time")}


def test_a_trial_is_followed_while_it_runs(on_page: OnPage, tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", ARMS) / LOG)
    log = tmp_path / "results" / "one" / LOG
    begun = [row | {"time": time.time()} for row in rows[:4]]  # the header, asked, started, an epoch
    write_log(log, begun)
    with on_page(settings(tmp_path / "results"), "#/sweep/one/trials/baseline/search/0") as shown, Log(log) as writer:
        page = shown.page
        page.get_by_text(", 1 epochs, seed 0").wait_for()
        page.evaluate("window.kept = true")
        page.get_by_text("The epochs in numbers").click()
        writer.append(*fields(rows[4]))
        page.get_by_text(", 2 epochs, seed 0").wait_for()
        other = rows[5] | {"cell": ["dropout", "search", 3]}
        writer.append_all([fields(other), fields(rows[5])])  # of several trials in one row
        page.get_by_text(", 3 epochs, seed 0").wait_for()
        assert page.get_by_role("region", name="Epochs").get_by_role("row").count() == 4
        writer.append_all([fields(row) for row in rows[6:8]])
        page.get_by_text("ok, 4 epochs, seed 0").wait_for()
        page.get_by_role("img", name="Accuracy by epoch, 4 epochs").wait_for()
        assert page.evaluate("window.kept")


def test_a_trial_of_a_later_repeat_is_found_and_read(on_page: OnPage, tmp_path: Path) -> None:
    made_up_log(tmp_path / "one", ARMS)
    made_up_log(repeat_folder(tmp_path / "one", 2), ARMS, repeat=2, epochs=3)
    with on_page(settings(tmp_path), "#/sweep/one") as shown:
        page = shown.page
        page.get_by_role("combobox", name="Repeat").select_option("2")
        page.get_by_role("row", name="baseline/search/0 ok 3").get_by_role("link").click()
        page.get_by_text("ok, 3 epochs, seed 0").filter(has_text="repeat 2").wait_for()
        assert page.url.endswith("#/sweep/one/trials/baseline/search/0?repeat=2")
        assert "repeat-2 " in page.get_by_label("Command").inner_text()
