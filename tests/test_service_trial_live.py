"""The page of a trial that runs, and of one of a later repeat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from regtune.core.records import Json
from regtune.service import app
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
        both = rows[5:7]  # two epochs of it, and those of another trial, in one row
        writer.append_all([fields(other), *map(fields, both), fields(other)])
        page.get_by_text(", 4 epochs, seed 0").wait_for()
        numbers = page.get_by_role("region", name="Epochs").get_by_role("row")
        assert [text.split("\t")[0] for text in numbers.all_inner_texts()] == ["epoch", "1", "2", "3", "4"]
        writer.append(*fields(rows[7]))
        page.get_by_text("ok, 4 epochs, seed 0").wait_for()
        page.get_by_role("img", name="Accuracy by epoch, 4 epochs").wait_for()
        assert page.evaluate("window.kept")


def test_a_trial_that_is_tried_again_begins_anew_on_its_page(on_page: OnPage, tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", ARMS, search=["failed", "ok"]) / LOG)
    log = tmp_path / "results" / "one" / LOG
    write_log(log, rows[:6])  # to the end of one that failed
    with on_page(settings(tmp_path / "results"), "#/sweep/one/trials/baseline/search/0") as shown, Log(log) as writer:
        page = shown.page
        page.get_by_text("failed, 2 epochs").wait_for()
        page.get_by_text("ValueError: <b>no</b> & such").wait_for()
        writer.append("retry", {"cells": [["baseline", "search", 0]], "mended": {}})
        page.get_by_text("running, 0 epochs").wait_for()
        page.get_by_text("No epoch has ended.").wait_for()
        assert page.get_by_role("img", name="Accuracy by epoch").count() == 0
        assert page.get_by_text("ValueError").count() == 0
        again = rows[1] | {"params": {"optimizer.learning_rate": 0.25}}
        writer.append_all([fields(again), fields(rows[2]), fields(rows[3])])
        page.get_by_text("running, 1 epochs").wait_for()
        assert "0.25" in page.get_by_label("Searched knobs").inner_text()


def test_a_service_that_is_away_or_full_is_waited_for(
    on_page: OnPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SECONDS_TO_RETRY", 1)
    rows, _ = read_log(made_up_log(tmp_path / "whole", ARMS) / LOG)
    log = tmp_path / "results" / "one" / LOG
    write_log(log, rows[:4])
    given = settings(tmp_path / "results", most_streams=1)
    with on_page(given, forgiven=["Failed to load resource"]) as shown, Log(log) as writer:
        page, said = shown.page, shown.page.get_by_role("status")
        page.get_by_role("link", name="one").wait_for()
        page.route("**/api/v1/sweeps/**", lambda route: route.abort())
        shown.go("#/sweep/one/trials/baseline/search/0")
        said.get_by_text("The service does not answer").wait_for()
        with shown.client.stream("GET", "/sweeps/one/events") as taken:
            lines = taken.iter_lines()  # held on to: the stream ends with it
            next(lines)
            page.unroute("**/api/v1/sweeps/**")
            page.get_by_text("interrupted, 1 epochs").wait_for()
            said.get_by_text("expected at most 1 streams at once").wait_for()
        said.filter(has_not_text="streams").wait_for(state="attached")
        writer.append(*fields(rows[4]))
        page.get_by_text("interrupted, 2 epochs").wait_for()


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
