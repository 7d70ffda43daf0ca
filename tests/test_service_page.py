"""The page of the service in a real Chromium: it is read, followed, used by keyboard, and asks nobody else."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regtune.service.events import SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_STATUSES
from regtune.service.sweeps import SECONDS_OLD
from regtune.storage.layout import LOG
from regtune.storage.log import Log, read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import OnPage, write_log
from tests.made_up import made_up_log
from tests.served import settings
from tests.test_service_runs import Scripts

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.browser
TOKEN = "-".join(["a", "token", "of", "the", "page"])
ASKED = 2.0  # seconds from an epoch to the page
TABLES = "() => [...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"
CAPTIONS = """() => [...document.querySelectorAll("caption")].filter((one) => {
    one.closest(".scroll").scrollLeft = 10000;
    const { left, right } = one.getBoundingClientRect();
    return left < 0 || right > document.documentElement.clientWidth;
}).map((one) => one.textContent)"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    made_up_log(tmp_path / "one", {"baseline": [0.6, 0.61, 0.62], "<b>dropout": [0.7, 0.71, 0.73]})
    return tmp_path


def test_a_sweep_is_found_by_keyboard_and_read_on_a_phone(on_page: OnPage, results: Path) -> None:
    with on_page(settings(results), dark=True) as shown:
        page = shown.page
        page.get_by_role("link", name="one").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="one", level=1).wait_for()
        page.get_by_text("finished, 12/12 trials, 40 epochs").wait_for()
        page.get_by_role("img", name="Effect of each arm").wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.chart')].every((box) => box.querySelector('svg'))"
        )
        assert page.get_by_role("rowheader", name="<b>dropout").count() >= 2  # text, never an element
        assert page.get_by_text("ValueError: <b>no</b> & such").count() >= 2
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 23)"
        assert shown.fits()
        assert page.evaluate(TABLES) > 0, "a table scrolls"
        assert page.evaluate(CAPTIONS) == []
        assert not page.get_by_role("combobox", name="Repeat").is_visible()  # there is one alone


def test_arms_are_switched_off_by_keyboard_and_the_address_keeps_it(on_page: OnPage, results: Path) -> None:
    with on_page(settings(results)) as shown:
        page = shown.page
        page.get_by_role("link", name="one").click()
        page.get_by_role("img", name="Effect of each arm").wait_for()
        row = page.get_by_role("rowheader", name="<b>dropout", exact=True)
        assert row.count() >= 2
        page.get_by_role("checkbox", name="<b>dropout").focus()
        page.keyboard.press("Space")
        assert row.count() == 0  # hidden rows have no role
        assert page.get_by_role("rowheader", name="baseline", exact=True).count() >= 2
        page.reload()
        page.get_by_role("img", name="Effect of each arm").wait_for()
        assert row.count() == 0
        page.get_by_role("checkbox", name="<b>dropout").check()
        assert row.count() >= 2
        assert page.url.endswith("#/sweep/one")


def test_the_page_follows_a_log_that_grows(on_page: OnPage, tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]}) / LOG)
    log = tmp_path / "results" / "one" / LOG
    write_log(log, rows[:3])
    with on_page(settings(tmp_path / "results")) as shown, Log(log) as writer:
        page = shown.page
        page.get_by_role("link", name="one").click()
        page.get_by_text("stopped, 0/10 trials, 0 epochs").wait_for()
        for row in rows[3:5]:
            writer.append(row["event"], {name: value for name, value in row.items() if name not in ("event", "time")})
        page.get_by_text("stopped, 0/10 trials, 2 epochs").wait_for()


def test_the_service_looks_often_enough_for_what_is_asked_of_the_page() -> None:
    """What else an epoch takes to the page is measured: `python benchmarks/service_page.py`."""
    assert SECONDS_BETWEEN_LOOKS < ASKED
    assert SECONDS_BETWEEN_STATUSES + SECONDS_OLD < ASKED


def test_tables_that_are_refused_for_now_are_asked_for_again(on_page: OnPage, results: Path) -> None:
    asked = []

    def busy(route: Route) -> None:
        asked.append(time.monotonic())
        refusal = {"error": {"message": "a fault, for now", "path": None}}
        route.fulfill(status=500, headers={"Retry-After": "1"}, json=refusal)

    with on_page(settings(results), forgiven=["Failed to load resource"]) as shown:
        page, tables = shown.page, "**/sweeps/one/table?*"
        page.route(tables, busy)
        page.get_by_role("link", name="one").click()
        page.get_by_text("a fault, for now").wait_for()
        page.wait_for_function("() => performance.now() > 3000")
        page.unroute(tables)
        page.get_by_role("img", name="Effect of each arm").wait_for()
        page.get_by_text("a fault, for now").wait_for(state="detached")
        assert page.get_by_role("rowheader", name="baseline", exact=True).count() >= 2
    assert all(later - earlier > 1 for earlier, later in pairwise(asked)), "as seldom as the service asks for"


def test_a_sweep_is_made_in_the_form_checked_and_submitted(on_page: OnPage, tmp_path: Path) -> None:
    with on_page(settings(tmp_path), runs=Scripts(settings(tmp_path)), forgiven=["422"]) as shown:
        page = shown.page
        page.get_by_role("link", name="New sweep").click()
        page.get_by_label("Name", exact=True).fill("made-here")
        page.get_by_label("dropout", exact=False).first.check()
        page.get_by_label("epochs", exact=True).fill("0")
        page.get_by_role("button", name="Check the text").click()
        page.get_by_role("alert").get_by_text("training.epochs: expected").wait_for()
        page.get_by_label("epochs", exact=True).fill("3")
        page.get_by_role("button", name="Check the text").click()
        page.get_by_text("The text is right: 2 arms.").wait_for()
        assert shown.fits()
        page.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="made-here", level=1).wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("refused, no trials").wait_for()
    sweep = Sweep.read(tmp_path / "made-here" / "made-here.toml")
    assert ([arm.name for arm in sweep.arms], sweep.training.epochs) == (["baseline", "dropout"], 3)


def test_without_the_token_there_is_nothing_to_see(on_page: OnPage, results: Path) -> None:
    with on_page(settings(results, token=TOKEN), forgiven=["401"]) as shown:
        page = shown.page
        page.get_by_label("Token").fill("another-token-of-the-page")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("This is not the token of this service.").wait_for()
        assert page.get_by_role("link", name="one").count() == 0
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open").click()
        page.get_by_role("link", name="one").wait_for()
        assert TOKEN not in page.url
