"""Every study holds: what the theory gives and what the product does are as far apart as they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.studies import STUDIES, Comparison, Findings

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


def test_what_is_no_number_does_not_hold() -> None:
    for fails in (False, True):
        assert not Comparison(what="x", theory=[1.0], measured=[np.nan], tolerance=0.1, fails=fails).holds


def test_where_they_differ_the_command_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Comparison(what="x", theory=[1.0], measured=[2.0], tolerance=0.1)
    monkeypatch.setattr(STUDIES.all()["l2_shrinkage"], "run", lambda self: Findings(comparisons=[wrong]))
    ended = CliRunner().invoke(app, ["study", "l2-shrinkage"])
    assert ended.exit_code == 1
    assert "theory and measurement differ in l2-shrinkage" in ended.output
    assert "expected the names of studies" in str(CliRunner().invoke(app, ["study", "--report", "x.html"]).exception)


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
