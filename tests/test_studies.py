"""Every study holds: what the theory gives and what the product does are as far apart as they should be."""

from __future__ import annotations

import base64
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.data import DataLocation
from regtune.studies import STUDIES, Comparison, Findings
from regtune.studies._pictures import pairs
from regtune.studies._sheets import FINE, Shot, as_url, sheet_of

NAMES = sorted(STUDIES.all())
LONG = {
    "dropout_as_ridge",
    "dropout_decision_surface",
    "dropout_monte_carlo",
    "early_stopping_trace",
    "l1_and_l2_paths",
    "label_smoothing_clusters",
    "stochastic_depth",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NAMES]
)
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


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_on_a_sheet_is_the_picture(channels: int) -> None:
    from PIL import Image

    levels = torch.arange(channels * 5 * 8).view(channels, 5, 8)
    head, _, body = as_url(levels / 255).partition(",")
    assert head == "data:image/png;base64"
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).reshape(50, FINE, channels)
    assert (read[::10, ::10] == levels.movedim(0, 2).numpy()).all()
    assert (read[9::10, 9::10] == levels.movedim(0, 2).numpy()).all()


def test_a_sheet_keeps_its_rows_and_columns_in_order() -> None:
    shots = [Shot(row=row, column=column, picture=torch.zeros(1, 8, 8)) for row in "zb" for column in "31"]
    spec = sheet_of(shots, columns="M").to_dict()
    rows = next(iter(spec["datasets"].values()))
    assert [(one["row"], one["column"]) for one in rows] == [("z", "3"), ("z", "1"), ("b", "3"), ("b", "1")]
    assert all(spec["layer"][0]["encoding"][axis]["sort"] is None for axis in "xy")


def test_the_contact_sheet_needs_neither_pillow_nor_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIL", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = STUDIES.all()["augmentations"]().run()
    assert all(one.holds for one in found.comparisons)
    assert len(found.charts) == 2
    assert any("regtune[vision]" in sentence for sentence in found.sentences)


def test_a_source_of_pictures_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(found) for _, found in pairs(DataLocation())] == [2, 2]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = dict(pairs(DataLocation(root=tmp_path)))
    assert "regtune[vision]" in str(found["photographs of scikit-learn"])
    assert str(tmp_path) in str(found["Fashion-MNIST"])
