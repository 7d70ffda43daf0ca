"""The report: its page stands alone, holds every figure, and says what cannot be drawn."""

from __future__ import annotations

import html
import json
import math
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest

from regtune.core.records import Json
from regtune.reports.figures import best_so_far as progress
from regtune.reports.figures import effects, importance, pairs, sensitivity, survival
from regtune.reports.figures import learning_curves as learning
from regtune.reports.figures import rand_augment as magnitudes
from regtune.reports.figures.catalog import FIGURES, drawn
from regtune.reports.page.report import page, write_report
from regtune.reports.tables._table import Table
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables
from regtune.results.loader import Results, load
from tests.command_line import called
from tests.made_up import RATE, made_up_log
from tests.test_tables import BETTER, HOSTILE, POOR, SPREAD

NUMBER, MAGNITUDE = "rand_augment.num_ops", "rand_augment.magnitude"
RAND_AUGMENT: list[Json] = [{RATE: 0.01 * (1 + k % 5), NUMBER: 1 + k % 3, MAGNITUDE: 1.0 + k % 4} for k in range(24)]
RAND_AUGMENT_SPACE = {
    NUMBER: "IntDistribution(high=3, log=False, low=1, step=1)",
    MAGNITUDE: "FloatDistribution(high=10.0, log=False, low=1.0, step=None)",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return a sweep for which every figure can be drawn."""
    folder, search = tmp_path_factory.mktemp("rich"), ["ok"] * 22 + ["pruned", "failed"]
    arms: dict[str, tuple[float, ...]] = {"base": SPREAD, HOSTILE: BETTER, "third": SPREAD[::-1]}
    knobs = dict.fromkeys(arms, RAND_AUGMENT)
    return load(made_up_log(folder, arms, search=search, knobs=knobs, space=RAND_AUGMENT_SPACE))


def test_the_page_is_one_file_that_names_no_address(results: Results) -> None:
    text = page(folder_tables([results]), drawn(tables(results)))
    head, _, rest = text.partition('<script type="application/json"')
    data, _, _ = rest.partition("</script>")
    assert not re.search(r'(src|href)="(?!#)', head)
    assert not re.search(r"url\(|@import", head)
    assert "default-src 'none'" in head
    charts = json.loads(data.partition(">")[2])["charts"]
    assert list(charts) == [planned.draw.__name__ for planned in FIGURES]
    assert HOSTILE in {row.get("arm") for data in charts["effects"]["datasets"].values() for row in data}


def test_a_caption_begins_with_a_paragraph_that_is_its_first_sentence(results: Results) -> None:
    scores = folder_tables([results]).first.scores
    assert f"{scores.conclusion} {scores.details}" == scores.caption
    assert scores.conclusion.endswith(".") and ". " not in scores.conclusion
    text = html.unescape(page(folder_tables([results]), drawn(tables(results))))
    assert f'<p class="caption">{scores.conclusion}</p>\n<p class="details">{scores.details}</p>' in text
    assert Table(title="", caption="One sentence.", frame=scores.frame).conclusion == "One sentence."
    assert Table(title="", caption="After X. Bouthillier. Rest.", frame=scores.frame).details == "Rest."


def test_names_are_escaped_and_headings_are_in_order(results: Results) -> None:
    text = page(folder_tables([results]), drawn(tables(results)))
    assert "<script> " not in text
    assert "<b>no</b>" not in text.partition('<script type="application/json"')[0]
    levels = [int(level) for level in re.findall(r"<h(\d)", text.partition("<footer>")[0])]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", text.partition("<footer>")[0])
    assert titles == ["Which arm?", "How sure is that?", "At what cost?", "Why?", "What failed?"]
    assert '<html lang="en">' in text


def test_every_figure_is_written_as_svg_and_pdf_with_its_caption_on_the_page(results: Results, tmp_path: Path) -> None:
    (tmp_path / "r-figures").mkdir()
    (tmp_path / "r-figures" / "of_before.svg").touch()
    first, *files = write_report(folder_tables([results]), tmp_path / "r.html")
    assert first == tmp_path / "r.html"
    assert {path.name for path in files} == {f"{f.draw.__name__}.{end}" for f in FIGURES for end in ("svg", "pdf")}
    assert {path.name for path in (tmp_path / "r-figures").iterdir()} == {path.name for path in files}
    for path in files:
        assert path.read_bytes().startswith(b"<svg" if path.suffix == ".svg" else b"%PDF")
    for planned in FIGURES:
        assert planned.draw.__doc__, "its caption"


@pytest.mark.parametrize("case", POOR)
def test_a_poor_log_still_gives_a_report_that_says_what_cannot_be_said(tmp_path: Path, case: str) -> None:
    confirmed, search, words = POOR[case]
    results = load(made_up_log(tmp_path, confirmed, search=search))
    figures = drawn(tables(results))
    assert all((figure.spec is None) == bool(figure.why) for figure in figures)
    text = unescape(page(folder_tables([results]), figures))
    assert words in text
    assert all(figure.why in text for figure in figures)


def test_frames_of_effects_and_pairs_agree_with_the_table(results: Results) -> None:
    rows = effects.frame(tables(results)).set_index("arm")
    assert rows.loc[HOSTILE, "verdict"] == "better"
    assert rows.loc[HOSTILE, "difference"] == pytest.approx(20.0)
    matrix = pairs.frame(results).set_index(["row", "column"])
    assert matrix.loc[(HOSTILE, "base"), "difference"] == pytest.approx(20.0)
    assert matrix.loc[("base", HOSTILE), "verdict"] == "worse"
    assert len(matrix) == 6


def test_no_interval_is_drawn_where_there_is_none(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": (0.5,) * 4, "other": (0.6,) * 4}))
    (row,) = effects.frame(tables(results)).to_dict("records")
    assert row["verdict"] == "no interval"
    assert math.isnan(row["low"])


def test_at_most_fifty_curves_of_an_arm_evenly_by_rank(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": SPREAD}, search=["ok"] * 120))
    curves = learning.frame(results, "search")
    drawn_numbers = curves[curves["kind"] == "curve"]["number"].unique()
    assert len(drawn_numbers) == learning.CURVES
    assert {0, 119} <= set(drawn_numbers)
    last = curves[(curves["kind"] == "summary") & (curves["epoch"] == 4)].iloc[0]
    assert last["score"] == pytest.approx(100 * (0.5 + 0.01 * 59.5)), "over all trials, not over those drawn"


def test_survival_counts_those_that_dropped_out(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": SPREAD}, search=["ok", "pruned", "failed", "ok"]))
    rows = survival.frame(results)
    assert dict(zip(rows["epoch"], rows["share"], strict=True)) == {0: 100, 2: 50, 4: 50}


def test_best_so_far_never_falls_and_pruned_trials_only_cost(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": SPREAD}, search=["ok", "pruned", "ok", "failed"]))
    rows = progress.frame(results)
    assert list(rows["spent"]) == [4, 10, 12]
    assert list(rows["best"]) == pytest.approx([50, 52, 52])


def test_sensitivity_marks_the_pruned(results: Results) -> None:
    rows = sensitivity.frame(results)
    assert set(rows["knob"]) == {RATE, NUMBER, MAGNITUDE}
    assert set(rows[rows["number"] == 22]["end"]) == {"pruned"}
    assert set(rows[rows["number"] == 23]["end"]) == {"other"}


def test_importance_finds_the_knob_that_matters(tmp_path: Path) -> None:
    knobs: list[Json] = [{RATE: 0.001 * 1.2**k, MAGNITUDE: 1.0 + 7 * k % 9} for k in range(24)]
    space = {MAGNITUDE: RAND_AUGMENT_SPACE[MAGNITUDE]}
    log = made_up_log(tmp_path, {"base": SPREAD}, search=["ok"] * 24, knobs={"base": knobs}, space=space)
    shares = importance.frame(load(log)).set_index("knob")["importance"]
    assert shares["learning_rate, base"] > shares["rand_augment.magnitude, base"]
    assert shares.sum() == pytest.approx(1)


def test_the_heat_map_counts_its_trials(results: Results) -> None:
    rows = magnitudes.frame(results)
    assert rows[rows["arm"] == "base"]["trials"].sum() == 24
    assert set(rows["magnitude"]) == {1, 2, 3, 4}


def test_report_on_the_command_line(tmp_path: Path) -> None:
    folder = made_up_log(tmp_path / "results", {"base": SPREAD, "other": BETTER})
    done = called("report", folder, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"wrote {folder}/report.html"
    assert called("report", folder, "--to", "elsewhere/a.html", folder=tmp_path).returncode == 0
    assert (tmp_path / "elsewhere" / "a-figures" / "effects.pdf").exists()
    refused = called("report", "none", folder=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
