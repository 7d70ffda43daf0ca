"""The page of the service with real runs, with damaged logs and with many sweeps."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regtune.service.runs import Processes
from regtune.storage.layout import LOG
from tests.conftest import OnPage
from tests.made_up import made_up_log
from tests.served import settings
from tests.test_service_runs import LONG

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
MANY = 1000


def submit_text(page: Page, text: str) -> None:
    page.get_by_role("link", name="New sweep").click()
    page.get_by_label("Sweep file (TOML)").fill(text)
    page.get_by_role("button", name="Submit").click()


def test_a_sweep_is_built_run_to_its_end_and_read(on_page: OnPage, tmp_path: Path) -> None:
    given = settings(tmp_path)
    try:
        with on_page(given) as shown:
            page = shown.page
            page.get_by_role("link", name="New sweep").click()
            page.get_by_label("Name", exact=True).fill("made-here")
            page.get_by_label("dropout", exact=False).first.check()
            for label, value in {
                "epochs": "2",
                "search trials of each arm": "2",
                "confirm seeds of each arm": "2",
            }.items():
                page.get_by_label(label, exact=True).fill(value)
            page.get_by_role("button", name="Submit").click()
            page.get_by_role("heading", name="made-here", level=1).wait_for()
            page.get_by_text("finished, ").wait_for()
            page.get_by_role("region", name="Trials by arm and phase").get_by_role(
                "rowheader", name="dropout"
            ).wait_for()
            page.locator("section", has=page.get_by_role("heading", name="Tables")).get_by_role(
                "rowheader", name="dropout"
            ).first.wait_for()
            page.get_by_role("listitem").filter(has_text="None.").wait_for()  # no failures
    finally:
        Processes(given).stop(tmp_path / "made-here")


@pytest.mark.slow
def test_a_sweep_that_runs_is_stopped_and_resumed(on_page: OnPage, tmp_path: Path) -> None:
    given = settings(tmp_path)
    try:
        with on_page(given) as shown:
            page = shown.page
            submit_text(page, LONG)
            page.get_by_text(re.compile(r"^running, .* [1-9]\d* epochs")).wait_for()
            page.get_by_role("button", name="Stop").click()
            page.get_by_text(re.compile(r"^stopped, ")).wait_for()
            before = shown.client.get("/sweeps/small").json()["epochs"]
            page.get_by_role("button", name="Resume").click()
            page.get_by_text(re.compile(r"^running, ")).wait_for()
            page.get_by_role("button", name="Stop").wait_for()
            assert shown.client.get("/sweeps/small").json()["epochs"] >= before > 0
    finally:
        Processes(given).stop(tmp_path / "small")


def test_a_damaged_log_is_said_to_be_and_takes_no_other_down(on_page: OnPage, tmp_path: Path) -> None:
    made_up_log(tmp_path / "whole", {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]})
    log = made_up_log(tmp_path / "broken", {"baseline": [0.6], "dropout": [0.7]}) / LOG
    log.write_bytes(log.read_bytes().replace(b'"ok"', b'"OK"', 1))
    with on_page(settings(tmp_path)) as shown:
        page = shown.page
        page.get_by_role("row", name="broken damaged").wait_for()
        page.get_by_role("row", name="whole finished").wait_for()
        page.get_by_role("link", name="broken").click()
        page.get_by_text(re.compile(r"^damaged, ")).wait_for()
        page.locator(".box.bad").filter(has_text="log.jsonl").wait_for()


def test_a_thousand_sweeps_are_listed_page_by_page(on_page: OnPage, tmp_path: Path) -> None:
    first = made_up_log(tmp_path / "s0000", {"baseline": [0.6], "dropout": [0.7]})
    for number in range(1, MANY):
        folder = tmp_path / f"s{number:04}"
        folder.mkdir()
        shutil.copyfile(first / LOG, folder / LOG)
    for number in range(MANY):
        os.utime(tmp_path / f"s{number:04}" / LOG, (1e9 - number, 1e9 - number))
    with on_page(settings(tmp_path)) as shown:
        page = shown.page
        page.get_by_text(f"{MANY} in all").wait_for()
        assert page.get_by_role("rowheader").count() == 50
        assert page.get_by_role("link", name="Newer").count() == 0
        page.get_by_role("link", name="Older").click()
        page.get_by_role("link", name="s0050").wait_for()
        page.get_by_role("link", name="Newer").wait_for()
        shown.go(f"#/?{MANY - 50}")
        page.get_by_role("link", name="s0999").wait_for()
        assert page.get_by_role("link", name="Older").count() == 0
