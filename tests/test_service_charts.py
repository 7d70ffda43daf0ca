"""Figures on the page of a sweep: charts that answer to the pointer, without the arms that are off, or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regtune.core.errors import Refused
from regtune.service import charts
from tests.conftest import OnPage
from tests.made_up import made_up_log
from tests.served import API, served, settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

EFFECTS = "Effect of each arm. "
SYMBOLS = (
    "marks => marks.map((mark) => mark.__data__.datum).filter((datum) => datum && datum.arm).map(({ arm }) => arm)"
)
TITLES = "Learning curves of the confirmed trials", "Score against each knob"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    seeds = [0.6, 0.61, 0.62]
    made_up_log(tmp_path / "one", {"baseline": seeds, "dropout": [0.7, 0.71, 0.73], "mixup": [0.5, 0.52, 0.51]})
    return tmp_path


def points(page: Page) -> list[str]:
    """Return the arms of the points of the figure of effects."""
    found: list[str] = page.get_by_role("img", name=EFFECTS).locator(".mark-symbol path").evaluate_all(SYMBOLS)
    return sorted(found)


def test_the_script_is_of_the_service_itself_and_kept_by_browsers(results: Path) -> None:
    with served(settings(results)) as client:
        path = client.get("/about").json()["charts"]
        base = str(client.base_url).removesuffix("/").removesuffix(API)
        answer = client.get(f"{base}/{path}")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == charts.KEPT
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert len(answer.text) > 500_000


@pytest.mark.browser
def test_a_chart_answers_to_the_pointer_and_to_the_switches_of_arms(on_page: OnPage, results: Path) -> None:
    with on_page(settings(results), "#/sweep/one") as shown:
        page = shown.page
        box = page.get_by_role("img", name=EFFECTS)
        box.locator("svg").wait_for()
        assert points(page) == ["dropout", "mixup"]
        box.locator(".mark-symbol path").first.hover(force=True)
        page.locator("#vg-tooltip-element.visible").get_by_text("dropout").wait_for()
        page.get_by_text(TITLES[0]).wait_for()
        panels = [page.get_by_role("img", name=title) for title in TITLES]
        for panel in panels:
            panel.get_by_text("mixup").first.wait_for()
        page.get_by_role("checkbox", name="mixup").uncheck()
        for panel in panels:
            panel.get_by_text("mixup").first.wait_for(state="detached")
            panel.get_by_text("dropout").first.wait_for()
        assert points(page) == ["dropout"]
        page.get_by_role("checkbox", name="dropout").uncheck()
        box.get_by_text("All arms of this figure are switched off.").wait_for()
        page.get_by_role("checkbox", name="dropout").check()
        page.get_by_role("checkbox", name="mixup").check()
        box.locator("svg").wait_for()
        assert points(page) == ["dropout", "mixup"]
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save as SVG: {EFFECTS[:-2]}").click()
        assert saved.value.suggested_filename == "effects.svg"


@pytest.mark.browser
def test_without_the_script_figures_are_pictures(
    on_page: OnPage, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        raise Refused("there are no libraries")

    monkeypatch.setattr(charts, "bundled", refused)
    with on_page(settings(results), "#/sweep/one", forgiven=["Failed to load resource", "Refused to execute"]) as shown:
        page = shown.page
        page.get_by_role("img", name=EFFECTS).locator("img").wait_for()
        page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 100)")
