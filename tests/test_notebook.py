"""What a notebook shows: small tables, escaped, in the colours of the page; progress in its place."""

from __future__ import annotations

import io
import re
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

import regtune
from regtune.api.results import Results
from regtune.cli import in_notebook
from regtune.cli.progress import Progress, live
from regtune.core.errors import Refused
from regtune.core.html import html_folded, html_paragraphs, html_table
from regtune.reports.tables._table import Table
from regtune.sweep.sweep import Sweep
from tests.conftest import small_trial
from tests.resuming import SMALL, ran, read

HOSTILE = '<script>alert("x")</script>&'


class Checked(HTMLParser):
    """Collects the texts of HTML, and fails where a tag is not closed, or is none that a table has."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td", "p", "details", "summary", "ul", "li")
        assert {name for name, _ in attrs} <= {"style", "scope"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def texts(html: str) -> list[str]:
    """Return the texts of what a notebook shows; it is small and has no colours of its own."""
    checked = Checked()
    checked.feed(html)
    assert checked.open == []
    assert not re.search(r"colou?r|background|https?:", html)
    assert len(html) < 30_000
    return checked.texts


def html_of(thing: object) -> str:
    """Return what a notebook asks a thing for."""
    return str(getattr(thing, "_repr_html_")())  # noqa: B009 - it is no name that anyone else calls


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return regtune.load(ran(tmp_path_factory.mktemp("shown"), SMALL.replace("weights = false", "")).parent)


def test_what_stands_in_them_is_escaped() -> None:
    html = html_table([HOSTILE], [(HOSTILE, 3)], HOSTILE) + html_paragraphs([HOSTILE]) + html_folded(HOSTILE, [HOSTILE])
    assert texts(html) == [HOSTILE, HOSTILE, HOSTILE, "3", HOSTILE, HOSTILE, HOSTILE]
    table = Table(title="t", caption=HOSTILE, frame=pd.DataFrame({"arm": [HOSTILE]}), sentences=[HOSTILE])
    assert HOSTILE in texts(html_of(table))
    assert html_folded("nothing", []) == ""


def test_results_show_the_answer_and_one_table(results: Results) -> None:
    shown = texts(html_of(results))
    assert shown[0].startswith("Better than baseline")
    assert {"arm", "difference", "verdict", "baseline", "dropout"} <= set(shown)
    assert any(text.startswith("Which arms beat baseline") for text in shown)


def test_tables_show_their_cells_and_captions(results: Results) -> None:
    for table in results.tables.values():
        shown = texts(html_of(table))
        assert shown[0] == table.conclusion
        assert set(map(str, table.frame.to_numpy().flatten())) - {""} <= set(shown)


def test_a_trial_shows_what_it_is(results: Results) -> None:
    trial = small_trial([{"name": "dropout", "p_hidden": 0.25}])
    shown = texts(html_of(trial))
    assert shown[0] == f"trial {trial.id}"
    assert "dropout: p_hidden = 0.25" in shown
    assert "mlp: widths = 12; 12; 12, residual = True" in shown
    assert "none" in texts(html_of(small_trial()))
    best = texts(html_of(results.best("baseline")))
    assert best[0].startswith("baseline/confirm/")
    assert "test_accuracy" in best


def test_a_sweep_shows_its_arms_and_knobs(tmp_path: Path) -> None:
    sweep = read(tmp_path, SMALL)
    shown = texts(html_of(sweep))
    assert shown[0] == "small: mlp on synthetic, trials of at most 4 epochs"
    assert {"baseline", "dropout", "search", "confirm", "knobs"} <= set(shown)
    assert any("p_hidden [" in text for text in shown)
    assert isinstance(sweep, Sweep)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the output of a cell shows, one drawing behind the other, as IPython hands them to the page."""
    drawings = list[str]()

    class Handle:
        def update(self, drawing: str) -> None:
            drawings.append(drawing)

    def display(drawing: str, *, display_id: bool) -> Handle:
        assert display_id
        drawings.append(drawing)
        return Handle()

    module: Any = ModuleType("IPython.display")
    module.HTML, module.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(in_notebook, "SECONDS_BETWEEN_DRAWINGS", 0.01)
    return drawings


def in_a_notebook() -> Console:
    return Console(file=io.StringIO(), force_jupyter=True)


def test_progress_is_one_output_that_is_drawn_again(cell: list[str], tmp_path: Path) -> None:
    progress = Progress(read(tmp_path, SMALL))
    with live(progress, in_a_notebook()):
        ran(tmp_path, watch=progress.watching)
        until = time.monotonic() + 10
        while len(cell) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert len(cell) > 2
    assert cell[0].startswith("<pre") and "0/2" in cell[0] and "time left …" in cell[0]
    assert "2/2" in cell[-1] and "time left 0:00" in cell[-1]
    assert "\x1b" not in "".join(cell)
    assert not re.search(r"colou?r", "".join(cell))


def test_nothing_is_left_of_what_is_refused(cell: list[str], tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^no$"), live(Progress(read(tmp_path, SMALL)), in_a_notebook()):
        raise Refused("no")
    assert cell[-1] == ""
    with pytest.raises(KeyboardInterrupt), live(Progress(read(tmp_path, SMALL)), in_a_notebook()):
        raise KeyboardInterrupt
    assert "0/2" in cell[-1], "what there was at Ctrl-C stays"
