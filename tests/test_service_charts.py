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
# What draws a chart waits while `held` and fails while `broken` is set; it counts what it began and what lives.
HELD = """
window.begun = window.alive = 0;
let drawing;
Object.defineProperty(window, "vegaEmbed", {
    set(real) {
        drawing = async (...given) => {
            window.begun += 1;
            while (window.held) await new Promise((next) => setTimeout(next, 20));
            if (window.broken) throw new Error("broken");
            const made = await real(...given);
            window.alive += 1;
            const { finalize } = made;
            made.finalize = () => { window.alive -= 1; finalize(); };
            return made;
        };
    },
    get() { return drawing; },
});
"""
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


@pytest.mark.browser
def test_a_chart_that_was_begun_in_vain_is_ended(on_page: OnPage, results: Path) -> None:
    begun = "count => window.begun === count"
    with on_page(settings(results), "#/sweep/one", script=f"window.held = true;{HELD}") as shown:
        page, mixup = shown.page, shown.page.get_by_role("checkbox", name="mixup")
        page.wait_for_function(begun, arg=1)
        mixup.uncheck()
        page.wait_for_function(begun, arg=2)
        mixup.check()
        page.wait_for_function(begun, arg=3)
        page.evaluate("window.held = false")
        page.get_by_role("button", name="Save as SVG").last.wait_for()
        figures = page.locator("figure").count()
        page.wait_for_function("count => window.alive === count", arg=figures)
        assert page.locator(".chart:has(svg.marks, canvas.marks)").count() == figures
        assert points(page) == ["dropout", "mixup"]
        before = page.evaluate("window.begun")
        page.evaluate("window.held = true")
        mixup.uncheck()
        page.wait_for_function("count => window.begun > count", arg=before)
        page.get_by_role("link", name="Sweeps").click()
        page.get_by_role("heading", name="Sweeps").wait_for()
        page.evaluate("window.held = false")
        page.wait_for_function("() => window.alive === 0")


@pytest.mark.browser
def test_a_chart_that_fails_is_a_picture_until_it_can_be_drawn(on_page: OnPage, results: Path) -> None:
    with on_page(settings(results), "#/sweep/one", script=f"window.broken = true;{HELD}") as shown:
        page = shown.page
        box = page.get_by_role("img", name=EFFECTS)
        box.locator("img").wait_for()
        note = page.locator("figure", has=box).get_by_text("it shows the arms that are off too")
        page.get_by_role("checkbox", name="mixup").uncheck()
        note.wait_for()
        page.evaluate("window.broken = false")
        page.get_by_role("checkbox", name="mixup").check()
        box.locator("svg.marks").wait_for()
        assert note.count() == 1
        assert not note.is_visible()


@pytest.mark.browser
def test_a_figure_of_one_panel_is_drawn_while_another_arm_is_off(on_page: OnPage, tmp_path: Path) -> None:
    made_up_log(tmp_path / "one", {"baseline": [0.6, 0.61, 0.62]})
    with on_page(settings(tmp_path), "#/sweep/one?off=gone") as shown:
        spec = shown.client.get("/sweeps/one/figures/sensitivity").json()
        assert "data" not in spec["concat"][0], "it stands at the top"
        shown.page.get_by_role("img", name=TITLES[1]).locator("svg.marks").wait_for()
