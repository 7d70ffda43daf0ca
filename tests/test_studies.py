"""Every study holds: what the theory gives and what the product does are as far apart as they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.studies import STUDIES, Comparison

NAMES = sorted(STUDIES.all())


@pytest.mark.parametrize("name", NAMES)
def test_theory_and_measurement_agree(name: str) -> None:
    found = STUDIES.all()[name]().run()
    assert found.comparisons
    for one in found.comparisons:
        assert np.isfinite(one.error)
        assert one.holds, f"{one.what}: {one.error} where {one.tolerance} was expected"


def test_places_in_the_lecture_are_all_different() -> None:
    places = [study.place for study in STUDIES.all().values()]
    assert len(places) == len(set(places))


def test_a_comparison_has_its_largest_difference() -> None:
    given = Comparison(what="x", theory=[1.0, 2.0], measured=[1.5, 2.0], tolerance=0.1)
    assert given.error == 0.5
    assert not given.holds
    assert Comparison(what="x", theory=[2.0], measured=[3.0], tolerance=0.4, relative=True).error == 0.5
    assert Comparison(what="x", theory=[2.0], measured=[3.0], tolerance=0.4, fails=True).holds


def test_the_command_lists_shows_and_writes_a_page(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "l2-shrinkage: " in run(app, ["study"]).output
    page = tmp_path / "companion.html"
    shown = run(app, ["study", "l2-shrinkage", "--report", str(page)])
    assert shown.exit_code == 0, shown.output
    assert "λᵢ / (λᵢ + α)" in shown.output
    assert "λᵢ / (λᵢ + α)" in page.read_text(encoding="utf-8")
    assert list((tmp_path / "companion-figures").glob("*.svg"))
    refused = run(app, ["study", "l2-shrinkag"])
    assert "did you mean 'l2-shrinkage'?" in str(refused.exception)
