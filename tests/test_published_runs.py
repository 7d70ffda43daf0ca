"""What is published of runs is what their logs give."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import pytest

from regtune.reports import output
from regtune.reports.figures.catalog import drawn
from regtune.reports.output import formatted
from regtune.reports.page.report import page
from regtune.reports.page.sections import sections
from regtune.reports.published.output import beside_each, published_beside
from regtune.reports.tables.folder import read_folder
from regtune.results.loader import load
from regtune.storage.layout import log_in

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
READ = functools.cache(read_folder)  # tables are made of what is read, and leave it as it is
ALIKE = (  # to others, whose tables are made by default
    "double_descent_small_clean", "double_descent_small_squared", "memorization_small_gaussian_regularized",
    "memorization_small_labels", "memorization_small_labels_regularized", "memorization_small_partial",
    "memorization_small_partial_regularized", "memorization_small_random", "memorization_small_random_regularized",
    "memorization_small_shuffled", "memorization_small_shuffled_regularized", "memorization_small_true",
    "pretraining_low_data_100", "pretraining_low_data_10000",
)  # fmt: skip
RUNS = [folder.name for folder in sorted(PUBLISHED.iterdir()) if folder.is_dir() and log_in(folder).is_file()]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in ALIKE else n for n in RUNS])
def test_tables_are_those_of_the_log(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PUBLISHED / name
    monkeypatch.setattr(output, "read_folder", READ)
    for form in ("md", "csv"):
        assert formatted([folder], form) == (folder / f"table.{form}").read_text(encoding="utf-8")
    beside = folder / "published.md"
    if beside.exists():
        assert published_beside([folder], "", "md", 0) == beside.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_the_sweep_file_is_that_of_the_log(name: str) -> None:
    given = tomllib.loads((PUBLISHED / name / "sweep.toml").read_text(encoding="utf-8"))
    logged = load(PUBLISHED / name).header["sweep"]
    assert [*given["arms"]] == [*logged["arms"]]
    template = next(iter(logged["arms"].values()))["template"]
    assert given["training"].items() <= template.items()
    assert given["data"].items() <= template["data"].items()


def test_the_report_has_published_figures_and_counts_the_trials_of_all_repeats() -> None:
    sweep = read_folder(PUBLISHED / "mnist_dropout_small")
    beside = beside_each(sweep)
    section = next(each for each in sections(sweep, []) if each.title == "Published")
    assert len(section.tables) == len(beside) >= 1
    for table, each in zip(section.tables, beside, strict=True):
        assert table.frame.equals(each.table.frame)
        assert each.match.table.cited in table.caption
        assert all(sentence in table.caption for sentence in each.protocol)
    planned = [len(results.trials) for results in sweep.repeats]
    assert len(planned) == 3
    assert f" of {sum(planned)} planned trials ended" in page(sweep, drawn(sweep.first))


@pytest.mark.parametrize("name", RUNS)
def test_the_report_has_a_section_of_published_figures_where_there_is_a_table(name: str) -> None:
    ids = [section.id for section in sections(READ(PUBLISHED / name), [])]
    assert ("published" in ids) == (PUBLISHED / name / "published.md").exists()
