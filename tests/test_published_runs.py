"""What is published of runs is what their logs give."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from regtune.reports.output import formatted
from regtune.reports.published.output import published_beside
from regtune.results.loader import load
from regtune.storage.layout import log_in

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
RUNS = [folder.name for folder in sorted(PUBLISHED.iterdir()) if folder.is_dir() and log_in(folder).is_file()]


@pytest.mark.parametrize("name", RUNS)
def test_tables_are_those_of_the_log(name: str) -> None:
    folder = PUBLISHED / name
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
