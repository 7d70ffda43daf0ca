"""Published figures: the files are complete, and stand beside a sweep's own in every format."""

from __future__ import annotations

import io
import json
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.reports.beside_published import beside_published
from regtune.reports.published_figures import FOLDER, Published, belonging, names, published
from tests.made_up import made_up_log

SCORES = {"l2": [0.98, 0.98], "own": [0.97, 0.97], "dropout_max_norm": [0.99, 0.99]}
MNIST = {"name": "mnist", "train": 48, "label_noise": 0.1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_up_log(tmp_path / "here", SCORES, name="mnist_dropout_small", data=MNIST)


@pytest.mark.parametrize("name", names())
def test_a_published_table_is_complete(name: str) -> None:
    table = published(name)
    assert table.figures or table.protocol.notes
    assert all(0 < figure.value < 100 for figure in table.figures)
    labels = [figure.label for figure in table.figures]
    assert len(labels) == len(set(labels))
    assert not any(figure.spread for figure in table.figures) or table.protocol.spread


def test_the_rows_of_the_lecture_are_as_published() -> None:
    rows = {figure.arms[0]: figure.value for figure in published("srivastava2014_mnist").figures}
    assert rows == {
        "l2": 1.62,
        "l2_l1_late": 1.60,
        "l2_kl_sparsity": 1.55,
        "max_norm": 1.35,
        "dropout_l2": 1.25,
        "dropout_max_norm": 1.05,
    }


def test_a_file_without_its_source_or_with_an_unknown_key_is_no_table() -> None:
    whole = published("srivastava2014_mnist").model_dump()
    for broken in ({k: v for k, v in whole.items() if k != "source"}, whole | {"sorce": "x"}):
        with pytest.raises(ValidationError):
            Published.model_validate(broken)


def test_ours_stand_beside_the_published_ones(folder: Path) -> None:
    rows = pd.read_csv(
        io.StringIO(beside_published([folder], "srivastava2014_mnist", "csv", 80)), keep_default_na=False
    )
    assert rows["arm"].to_list() == ["l2", "own", "dropout_max_norm", "", "", "", ""]
    first = rows.iloc[0]
    assert (first["n"], first["published"]) == (2, "1.62")
    assert float(first["ours"]) == pytest.approx(2.0)
    assert float(first["difference"]) == pytest.approx(0.38)
    assert rows["published"][1] == ""


def test_what_is_missing_and_what_differs_is_said(folder: Path) -> None:
    text = beside_published([folder], "srivastava2014_mnist", "md", 80)
    assert "No published figure: own." in text
    assert "no arm of this sweep: L2 + L1 applied towards the end of training, 1.60; " in text
    assert "Data: " not in text
    assert "Labels and pixels: published as they are, ours label_noise = 0.1." in text
    assert "Network: published 784-1024-1024-2048-10, ReLU, ours mlp (" in text
    assert "Updates: published 1,000,000, ours 12." in text
    assert "Seeds: published not known, ours 2." in text


def test_a_figure_of_another_network_or_data_set_is_of_no_arm(tmp_path: Path) -> None:
    scores = {"baseline": [0.95, 0.95], "random_erasing": [0.96, 0.96]}
    log = made_up_log(tmp_path / "fashion", scores, name="mixing_x", data={"name": "fashion_mnist", "train": 48})
    rows = pd.read_csv(io.StringIO(beside_published([log], "zhong2020_random_erasing", "csv", 80)))
    assert rows["published"][:2].to_list() == [4.39, 4.02]
    assert rows["arm"][2:].isna().all()


def test_repeats_are_compared_by_their_means(tmp_path: Path) -> None:
    first = made_up_log(tmp_path / "r", {"l2": [0.98, 0.99]}, name="mnist_dropout", data=MNIST)
    made_up_log(first / "repeat-2", {"l2": [0.96, 0.97]}, name="mnist_dropout", data=MNIST, repeat=2)
    [table] = json.loads(beside_published([first], "srivastava2014_mnist", "json", 80))
    assert table["rows"][0]["n"] == 2
    assert table["rows"][0]["ours"] == pytest.approx(2.5)
    assert any(note.startswith("Seeds: ") and "2 repeats" in note for note in table["notes"])


@pytest.mark.parametrize("form", ["md", "csv", "latex", "html", "json", None])
def test_every_format_has_both(folder: Path, form: str | None) -> None:
    more = ["--format", form] if form else []
    shown = CliRunner().invoke(app, ["table", str(folder), "--published", *more])
    assert shown.exit_code == 0, shown.output
    assert "1.62" in shown.output
    assert "own" in shown.output


def test_on_a_terminal_lines_fit(folder: Path) -> None:
    text = beside_published([folder], "srivastava2014_mnist", None, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "+0.38" in text


def test_a_table_without_figures_says_what_was_published(tmp_path: Path) -> None:
    log = made_up_log(tmp_path / "d", {"h50": [0.9, 0.9]}, name="double_descent_small", data=MNIST)
    text = beside_published([log], None, "md", 80)
    assert "between H = 50 and H = 51" in text
    assert "No published figure: h50." in text


def test_an_unknown_name_is_one_line_with_the_nearest(folder: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["table", str(folder), "--published-table", "srivastava2014_mnis"])
    assert str(refused.exception).count("\n") == 0
    assert "did you mean 'srivastava2014_mnist'?" in str(refused.exception)
    other = made_up_log(tmp_path / "other", {"a": [0.9, 0.9]}, name="mine")
    refused = CliRunner().invoke(app, ["table", str(other), "--published"])
    assert "given 'mine'; name a table with --published-table" in str(refused.exception)


def test_a_table_of_a_shipped_sweep_names_its_arms() -> None:
    for path in (Path(__file__).parent.parent / "sweeps").glob("*.toml"):
        sweep = tomllib.loads(path.read_text(encoding="utf-8"))
        name = sweep.get("name", path.stem)
        for table in filter(lambda each: any(fnmatchcase(name, p) for p in published(each).sweeps), names()):
            meant = {arm for figure in published(table).figures for arm in figure.arms}
            assert not meant or meant & set(sweep["arms"]), f"{table} names no arm of {path.name}"


def test_sweeps_of_the_lecture_have_their_tables() -> None:
    assert "srivastava2014_mnist" in belonging("mnist_dropout_small")
    assert belonging("stochastic_depth_1202") == ["huang2016_resnet1202"]
    assert all(path.suffix == ".toml" for path in FOLDER.iterdir())
