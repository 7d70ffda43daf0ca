"""The report in a real Chromium: it fits, every figure is drawn, and nothing is asked of any address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regtune.core.records import Json
from regtune.reports.figures.catalog import FIGURES, drawn
from regtune.reports.page.report import page
from regtune.reports.page.several import page_of_several
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables
from regtune.results.loader import load
from regtune.studies._base import Comparison, Findings
from regtune.studies._page import write_companion
from regtune.studies.l2_shrinkage import L2Shrinkage
from tests.made_up import RATE, made_up_log
from tests.test_report import RAND_AUGMENT, RAND_AUGMENT_SPACE
from tests.test_tables import BETTER, HOSTILE, SPREAD

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
DRAWING = ".chart svg.marks, .chart canvas.marks"
MEASURE = """() => ({
    page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
    background: getComputedStyle(document.body).backgroundColor,
    charts: [...document.querySelectorAll(".chart")].map((box) => {
        const drawing = box.querySelector("svg.marks, canvas.marks");
        const size = drawing ? drawing.getBoundingClientRect() : {width: 0, height: 0};
        const words = getComputedStyle(box.querySelector("svg.marks text") || box).fill;
        return {name: box.dataset.chart, label: box.ariaLabel, width: size.width, height: size.height, words,
                boxed: getComputedStyle(box).overflowX === "auto"};
    }),
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page that has every figure, with eleven arms of hostile and of long names."""
    folder, search = tmp_path_factory.mktemp("browser"), ["ok"] * 22 + ["pruned", "failed"]
    names = ["base", HOSTILE, "a_name_that_goes_on_and_on_for_longer_than_any_column", *map("arm_{}".format, range(8))]
    arms = {name: BETTER if name == HOSTILE else SPREAD[::-1] if k else SPREAD for k, name in enumerate(names)}
    knobs: dict[str, list[Json]] = dict.fromkeys(names, RAND_AUGMENT)
    results = load(made_up_log(folder, arms, search=search, knobs=knobs, space=RAND_AUGMENT_SPACE))
    path = folder / "report.html"
    path.write_text(page(folder_tables([results]), drawn(tables(results))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a page of three small sweeps, two of one name, with long names of arms, and what its charts are called."""
    folder = tmp_path_factory.mktemp("browser")
    names = ["base", HOSTILE, "a_name_that_goes_on_and_on_for_longer_than_any_column", *map("arm_{}".format, range(12))]
    arms = {name: tuple(score + 0.01 * k for score in SPREAD) for k, name in enumerate(names)}
    data: list[Json] = [{"name": name, "train": 48} for name in ("digits", "mnist", "fashion_mnist")]
    about = zip(("one", "a_name_of_two_sweeps", "a_name_of_two_sweeps"), data, strict=True)
    folders = [made_up_log(folder / str(k), arms, name=name, data=what) for k, (name, what) in enumerate(about)]
    text, figures = page_of_several([folder_tables(repeats) for repeats in [[load(path)] for path in folders]])
    path = folder / "reports.html"
    path.write_text(text, encoding="utf-8")
    return path, [figure.name for figure in figures if figure.spec is not None]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_report_fits_and_draws_every_figure_and_asks_for_nothing(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    looked_at(browser, report, [planned.draw.__name__ for planned in FIGURES], width, scheme)


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        (390, "dark"),
        pytest.param(1440, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
def test_the_report_on_several_sweeps_does_so_too(
    browser: Browser, reports: tuple[Path, list[str]], width: int, scheme: str
) -> None:
    assert reports[1][0] == "together-critical"
    looked_at(browser, *reports, width, scheme)


def test_the_first_table_fits_a_screen_of_1280_pixels(browser: Browser, tmp_path: Path) -> None:
    """It has every column that it can have, long names, long verdicts and long texts of knobs."""
    gains = {"base": (0.0,) * 4, "label_smoothing": (0.1,) * 4, "a_name_of_twenty_chars": (-0.2, -0.4, -0.2, -0.4)}
    arms = {name: [score + gain for score, gain in zip(SPREAD, mine, strict=True)] for name, mine in gains.items()}
    knobs: list[Json] = [{RATE: 0.0143, "label_smoothing.eps": 0.243}] * 3
    space = {"label_smoothing.eps": RAND_AUGMENT_SPACE["rand_augment.magnitude"]}
    terms = {"confirm": {"relevant": 0.5}}
    log = made_up_log(tmp_path, arms, examples=200, knobs=dict.fromkeys(arms, knobs), space=space, terms=terms)
    found = folder_tables([load(log)])
    frame = found.first.scores.frame
    assert {"relevant", "test set resampled"} <= {*frame} and "this configuration: worse" in frame["verdict"].to_list()
    path = tmp_path / "report.html"
    path.write_text(page(found, ()), encoding="utf-8")
    view = browser.new_page(viewport={"width": 1280, "height": 900})
    view.goto(path.as_uri())
    needed, inside = (view.evaluate(f"document.querySelector('.scroll').{one}Width") for one in ("scroll", "client"))
    view.close()
    assert needed <= inside


def test_theory_beside_measurement_fits_a_phone(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "studies.html"
    one = Comparison(
        what="what is left of the weights, α = 0.01", theory=[1.0], measured=[1.0], tolerance=1e-12, relative=True
    )
    write_companion({"l2-shrinkage": (L2Shrinkage(), Findings(comparisons=[one]))}, path)
    view = browser.new_page(viewport={"width": 390, "height": 900})
    view.goto(path.as_uri())
    needed, inside = (view.evaluate(f"document.querySelector('.scroll').{end}Width") for end in ("scroll", "client"))
    view.close()
    assert needed <= inside


def looked_at(browser: Browser, report: Path, charts: list[str], width: int, scheme: str) -> None:
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type] # a literal, from the list above
    asked: list[str] = []
    wrong: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    view.goto(report.as_uri())
    view.wait_for_function(f"document.querySelectorAll('{DRAWING}').length === {len(charts)}", timeout=20_000)
    seen = view.evaluate(MEASURE)
    view.close()
    assert asked == [report.as_uri()]
    assert wrong == []
    assert seen["page"][0] <= seen["page"][1] == width, "no overflow"
    assert [chart["name"] for chart in seen["charts"]] == charts
    for chart in seen["charts"]:
        assert min(chart["width"], chart["height"]) > 80, chart
        assert chart["label"], "what a screen reader says"
        assert chart["boxed"]
    page_light = sum(map(int, seen["background"][4:-1].split(","))) > 380
    assert page_light == (scheme == "light")
    words = next(chart["words"] for chart in seen["charts"] if chart["words"].startswith("rgb"))
    assert (sum(map(int, words[4:-1].split(","))) < 380) == page_light, "text stands out from the page"
