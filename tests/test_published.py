"""Published tables: that their files are complete, and how they stand beside a sweep."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.reports.formats import FORMATS
from regtune.reports.published.beside import MEASURES, Beside
from regtune.reports.published.matching import matches
from regtune.reports.published.output import published_beside
from regtune.reports.published.reading import PublishedTable, published_tables, read_table
from regtune.reports.tables.folder import read_folder
from regtune.statistics import share_interval
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import write_log
from tests.made_up import made_up_log

MNIST = {"name": "mnist", "train": 50000, "validation": 10000, "label_noise": 0.0, "pixels": "true"}
SMALL = {"name": "mlp", "widths": [256, 256]}
SIX = {
    "l2": (0.983, 0.984, 0.985),
    "l2_l1_late": (0.984, 0.983, 0.985),
    "l2_kl_sparsity": (0.984, 0.985, 0.983),
    "max_norm": (0.985, 0.986, 0.987),
    "dropout_max_norm": (0.988, 0.990, 0.989),
    "ours_alone": (0.98, 0.981, 0.979),
}
SWEEPS = Path(__file__).resolve().parent.parent / "sweeps"
# Of each sweep that repeats a published experiment: the table, and how many of its arms have figures there at least.
OF_SWEEPS = {
    "random_labels": ("zhang2017_memorization", 1),
    "mnist_dropout": ("srivastava2014_mnist", 6),
    "mnist_dropout_small": ("srivastava2014_mnist", 6),
    "mnist_dropout_released": ("srivastava2014_mnist", 2),
    "memorization_true": ("zhang2017_memorization", 3),
    "memorization_labels": ("zhang2017_memorization", 1),
    "memorization_shuffled": ("zhang2017_time_to_fit", 1),
    "memorization_small_labels": ("zhang2017_memorization", 1),
    "double_descent": ("belkin2019_double_descent", 1),
    "restarts": ("loshchilov2017_sgdr", 3),
    "randaugment_grid": ("cubuk2020_randaugment", 2),
    "randaugment_grid_small": ("cubuk2020_randaugment", 2),
    "mixing": ("yun2019_cutmix_cifar100", 4),
    "stochastic_depth": ("huang2016_stochastic_depth", 2),
    "stochastic_depth_1202": ("huang2016_stochastic_depth", 2),
    "stochastic_depth_small": ("huang2016_stochastic_depth", 2),
    "label_smoothing": ("mueller2019_label_smoothing", 2),
}


def sweep_log(
    folder: Path,
    arms: Mapping[str, Sequence[float | None]],
    data: Json,
    network: Json,
    *,
    batch: int = 125,
    **options: Any,
) -> Path:
    """Write a made-up log of a network on data."""
    made_up_log(folder, arms, data=data, **options)
    rows = [{k: v for k, v in row.items() if k != "crc"} for row in read_log(folder / "log.jsonl")[0]]
    for arm in rows[0]["sweep"]["arms"].values():
        arm["template"] |= {"network": network, "batch": batch}
    write_log(folder / "log.jsonl", rows)
    return folder


def beside(folder: Path, name: str = "") -> list[Beside]:
    sweep = read_folder(folder)
    return [Beside(match=match, sweep=sweep) for match in matches(sweep.first.results, name)]


@pytest.fixture
def six(tmp_path: Path) -> Path:
    return sweep_log(tmp_path / "six", SIX, MNIST, SMALL, epochs=14, name="six")


@pytest.mark.parametrize("table", published_tables().values(), ids=lambda table: table.name)
def test_every_table_says_where_it_stands_and_how_it_was_measured(table: PublishedTable) -> None:
    assert all(text.strip() for text in (table.title, table.source, table.table, table.read_in))
    assert not any(word in table.source for word in ("http", "www"))
    for part in table.parts:
        assert part.network
        assert part.data
        of_arms = [(figure.metric, arm) for figure in part.figures for arm in figure.arms]
        assert len(set(of_arms)) == len(of_arms), "an arm has one figure for a metric"
        for figure in part.figures:
            share = figure.metric in ("test_error", "test_accuracy", "train_accuracy", "localization", "detection")
            assert 0 < figure.value <= (100 if share else math.inf)
            assert figure.metric in MEASURES
        assert not any(note.endswith(".") for note in part.notes)


def test_the_files_of_what_the_sweeps_name_are_there() -> None:
    assert {
        "srivastava2014_mnist",
        "zhang2017_memorization",
        "belkin2019_double_descent",
        "cubuk2020_randaugment",
        "yun2019_cutmix_cifar100",
        "zhang2018_mixup",
        "devries2017_cutout",
        "zhong2020_random_erasing",
        "huang2016_stochastic_depth",
        "mueller2019_label_smoothing",
        "loshchilov2017_sgdr",
    } <= published_tables().keys()


def test_a_file_that_lacks_its_source_or_says_more_is_refused() -> None:
    text = 'title = "t"\ntable = "1"\nread_in = "r"\n[[parts]]\nnetwork = "n"\ndata = "d"\n'
    figure = 'figures = [{ label = "a", metric = "test_error", value = 1.60 }]\n'
    with pytest.raises(ValueError, match="source"):
        read_table("x", text + figure)
    with pytest.raises(ValueError, match="sedes"):
        read_table("x", 'source = "s"\n' + text + "sedes = 3\n" + figure)
    assert str(read_table("x", 'source = "s"\n' + text + figure).parts[0].figures[0].value) == "1.60"


def test_means_differences_and_effects_are_those_by_hand(six: Path) -> None:
    (found, _) = beside(six)
    assert found.match.table.name == "srivastava2014_mnist"
    row = found.rows.set_index("arm").loc["dropout_max_norm"]
    ours = share_interval(SIX["dropout_max_norm"])
    assert row["ours"] == pytest.approx(100 * (1 - ours.mean))
    assert (row["ours_low"], row["ours_high"]) == pytest.approx((100 * (1 - ours.high), 100 * (1 - ours.low)))
    assert row["n"] == 3
    assert row["published"] == 1.05
    assert row["difference"] == pytest.approx(1.1 - 1.05)
    assert row["ours_to_first"] == pytest.approx(1.1 - 1.6)
    assert row["ours_to_first_low"] < row["ours_to_first"] < row["ours_to_first_high"]
    assert row["published_to_first"] == pytest.approx(1.05 - 1.62)
    assert found.table.frame.set_index("arm").loc["l2_l1_late", "published"] == "1.60"


def test_arms_that_are_missing_on_either_side_are_said(six: Path) -> None:
    said = beside(six)[0].table.sentences
    assert "Published, and no arm of this sweep: dropout + L2 1.25 (test error %)." in said
    assert "Arms without a published figure: ours_alone." in said


def test_every_difference_of_protocol_that_the_sweep_says_is_a_sentence(six: Path, tmp_path: Path) -> None:
    said = beside(six)[0].table.sentences
    for words in (
        "Network: mlp (widths [256, 256]) here, 784-1024-1024-2048-10, ReLU published.",
        "Training examples: 50,000 here, 60,000 published.",
        "Updates: 5,600 here, 1,000,000 published.",
        "Runs: mean of 3 seeds here, not stated how many published.",
        "Not stated where the figures were read: batch (125 here).",
    ):
        assert words in said
    alone = next(sentence for sentence in said if sentence.startswith("A published figure of one run"))
    assert "0.10 to 0.13 points from its 10,000 test examples alone" in alone
    folder = sweep_log(
        tmp_path / "same", SIX, MNIST, {"name": "srivastava2014"}, terms={"confirm": {"retrain": "updates"}}
    )
    said = beside(folder)[0].table.sentences
    assert not any(sentence.startswith(("Network:", "Training examples:", "Data:")) for sentence in said)
    assert "Here trained again on train + validation, for as many updates." in said


def test_every_format_has_the_figures_of_both(six: Path) -> None:
    for form in (*FORMATS, None):
        text = published_beside([six], "srivastava2014_mnist", form, 200)
        assert "dropout_max_norm" in text.replace("\\", "")
        assert "1.05" in text
        assert "N. Srivastava et al." in text
    (sweep,) = json.loads(published_beside([six], "", "json", 80))["sweeps"]
    assert sweep["published"][0]["figures"][0]["published_to_first"] is None
    assert sweep["published"][0]["without_figure"] == ["ours_alone"]
    rows = [*csv.DictReader(io.StringIO(published_beside([six, six], "", "csv", 80)))]
    assert [*rows[0]][:3] == ["sweep", "table", "arm"]
    assert len(rows) == 2 * 6


def test_no_line_of_a_terminal_is_longer_than_it_is_wide(six: Path) -> None:
    text = published_beside([six], "", None, 80)
    assert max(map(len, text.splitlines())) <= 80


def test_repeats_are_compared_by_the_means_of_their_searches(tmp_path: Path) -> None:
    scores = ((0.98, 0.984), (0.986, 0.988), (0.99, 0.982))
    for place, each in enumerate(scores):
        to = tmp_path if place == 0 else tmp_path / f"repeat-{place + 1}"
        arms = {"l2": each, "max_norm": [score + 0.001 for score in each]}
        sweep_log(to, arms, MNIST, SMALL, search=("ok",), repeat=place + 1)
    found = beside(tmp_path, "srivastava2014_mnist")[0]
    row = found.rows.set_index("arm").loc["l2"]
    assert row["n"] == 3
    assert row["ours"] == pytest.approx(100 * (1 - (0.982 + 0.987 + 0.986) / 3))
    assert "Runs: 3 searches with 2 seeds each here, not stated how many published." in found.protocol


def test_the_closest_part_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    arms = {"constant": (0.6, 0.61), "stochastic": (0.62, 0.64)}
    data = {"name": "cifar100", "train": 45000, "validation": 5000}
    (found,) = beside(sweep_log(tmp_path, arms, data, {"name": "resnet", "depth": 110}, batch=128))
    assert [*found.rows["published"]] == [27.76, 24.98]
    assert any(
        said.startswith("Further parts of huang2016") and "ResNet-1202" in said for said in found.table.sentences
    )
    assert "Epoch: the kept one here, the epoch of the lowest validation error published." in found.protocol


@pytest.mark.parametrize(
    ("corruption", "published"),
    [({}, [100, 52.39]), ({"label_noise": 1.0}, [100, 10.48]), ({"pixels": "gaussian"}, [8800])],
)
def test_a_figure_stands_only_beside_data_that_are_corrupted_alike(
    tmp_path: Path, corruption: Json, published: list[float]
) -> None:
    data = {"name": "image_folder", "path": "cifar10-jpeg.tar", "train": 1000, "validation": 1000, **corruption}
    first, *_ = beside(sweep_log(tmp_path, {"off": (0.1, 0.12)}, data, {"name": "zhang2017_3x512"}))
    assert [*first.rows["published"]] == published
    assert any(said.startswith("Data: image_folder cifar10-jpeg.tar here") for said in first.protocol)


def test_tables_on_other_data_count_only_where_none_is_on_the_same(tmp_path: Path) -> None:
    arms = {"none": (0.8, 0.81), "n3_m5": (0.82, 0.83)}
    data = {"name": "fashion_mnist", "train": 3000, "validation": 2000}
    (found,) = beside(sweep_log(tmp_path / "a", arms, data, {"name": "convnet", "channels": [16, 32]}))
    assert found.match.table.name == "cubuk2020_randaugment"
    assert "Data: fashion_mnist here, CIFAR-10 published." in found.protocol
    arms = {"baseline": (0.8, 0.81), "cutout": (0.82, 0.83), "random_erasing": (0.82, 0.83)}
    (found,) = beside(sweep_log(tmp_path / "b", arms, data, {"name": "convnet", "channels": [16, 32]}))
    assert found.match.table.name == "zhong2020_random_erasing"
    assert found.match.part.data == "Fashion-MNIST"


def test_a_table_on_other_data_that_compares_the_same_methods_is_shown_too(tmp_path: Path) -> None:
    arms = dict.fromkeys(("baseline", "mixup", "cutout", "cutmix"), (0.9, 0.91))
    found = beside(sweep_log(tmp_path, arms, {**MNIST, "name": "cifar10"}, SMALL))
    assert {"devries2017_cutout", "yun2019_cutmix_cifar100"} <= {each.match.table.name for each in found}


@pytest.mark.parametrize("name", OF_SWEEPS)
def test_the_sweeps_that_repeat_a_published_table_have_its_arms(tmp_path: Path, name: str) -> None:
    sweep = Sweep.read(SWEEPS / f"{name}.toml").plain()
    template = next(iter(sweep["arms"].values()))["template"]
    arms = dict.fromkeys(sweep["arms"], (0.5, 0.6))
    folder = sweep_log(tmp_path, arms, template["data"], template["network"], batch=template["batch"], name=name)
    found = {each.match.table.name: each for each in beside(folder)}
    table, figures = OF_SWEEPS[name]
    assert len(found[table].match.arms) >= figures


def test_what_a_trial_does_not_measure_has_no_figure_of_ours(tmp_path: Path) -> None:
    noisy = {**MNIST, "train": 4000, "label_noise": 0.1}
    (found,) = beside(sweep_log(tmp_path, {"h50": (0.9, 0.91), "h2": (0.5, 0.6)}, noisy, SMALL))
    assert [*found.table.frame["ours"]] == ["–"]
    assert "Not measured by the trials of a sweep: parameters." in found.table.sentences
    assert "Data: MNIST with partly random labels here." in found.protocol


def test_a_mistake_is_one_line_with_the_way_out(tmp_path: Path, six: Path) -> None:
    for words, said in (
        (("--published", "srivastava2014_mist"), "(did you mean 'srivastava2014_mnist'?)"),
        (("--published=huang2016_stochastic_depth",), "expected one of the arms 'constant, baseline, stochastic"),
    ):
        ended = called("table", six, *words, folder=tmp_path)
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert said in ended.stderr
    other = sweep_log(tmp_path / "other", {"mine": (0.5, 0.6)}, MNIST, SMALL)
    with pytest.raises(Refused, match="expected arms of a published table, given made-up with 'mine'"):
        matches(read_folder(other).first.results, "")


def test_the_option_takes_a_name_or_none_before_and_behind_the_folder(tmp_path: Path, six: Path) -> None:
    for words in ((six, "--published"), ("--published", six), ("--published", "--full", six)):
        ended = called("table", *words, folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert "table 9" in " ".join(ended.stdout.split())
    one = called("table", six, "--published", "srivastava2014_mnist_1024", "--format", "csv", folder=tmp_path)
    assert one.stdout.count("\n") == 2


def test_an_arm_without_a_confirmed_trial_has_no_figure_of_ours(tmp_path: Path) -> None:
    folder = sweep_log(tmp_path, {"l2": (0.98, 0.981), "max_norm": (None, None)}, {**MNIST, "train": "all"}, SMALL)
    rows = beside(folder, "srivastava2014_mnist")[0].table.frame.set_index("arm")
    assert [*rows.loc["max_norm", ["ours", "difference", "n"]]] == ["–", "–", 0]
    for form in (*FORMATS, None):
        assert published_beside([folder], "", form, 80)
