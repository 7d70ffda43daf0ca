"""What a terminal shows first: lines and verdicts that agree with the full table, in a width that is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.core.records import Json
from regtune.reports.brief import Part, brief, fit_to_width, parts
from regtune.reports.output import formatted
from regtune.reports.overfitting import hardly_overfits
from regtune.reports.tables.folder import read_folder
from regtune.reports.terminal import flowed, narrow
from regtune.results.loader import load
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.made_up import made_up_log

BASE = (0.5, 0.52, 0.49, 0.53, 0.51)
ARMS: dict[str, tuple[float | None, ...]] = {
    "base": BASE,
    "better_by_far": (0.7, 0.71, 0.69, 0.74, 0.7),
    "worse": (0.3, 0.31, 0.3, 0.34, 0.33),
    "near_it": (0.501, 0.519, 0.493, 0.529, 0.508),
    "half_there": (0.6, None, 0.61, None, 0.6),
    "none": (None,) * 5,
}
Curve = Sequence[tuple[float, float]]


def with_terms(folder: Path, **confirm: object) -> Path:
    """Change what the log of a folder says of confirm."""
    header, *rows = read_log(folder / "log.jsonl")[0]
    header["sweep"]["confirm"] |= confirm
    write_log(folder / "log.jsonl", [header, *rows])
    return folder


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder, which is also the current one, with results of every kind; paths in commands stay short."""
    folder = tmp_path_factory.mktemp("brief")
    losses = {arm: [2 * score if score else None for score in scores] for arm, scores in ARMS.items()}
    made_up_log(folder / "all", ARMS, examples=100, metrics={"test_loss": losses, "test_ece": losses})
    made_up_log(folder / "alone", {"base": BASE}, search=("ok",))
    made_up_log(folder / "empty", {"base": (None,), "other": (None,)}, search=())
    made_up_log(folder / "wide", {"base": BASE, "学習率の減衰": ARMS["worse"]}, search=("ok",))
    with_terms(made_up_log(folder / "relevant", ARMS), relevant=25.0)
    with_terms(made_up_log(folder / "raced", ARMS), racing=True, first=3)
    for repeat, shift in ((1, 0.0), (2, 0.01), (3, 0.0), (4, 0.02)):
        arms = {"base": BASE, "better_by_far": [score + 0.1 + shift for score in BASE]}
        place = folder / "again" if repeat == 1 else folder / "again" / f"repeat-{repeat}"
        made_up_log(place, arms, search=("ok",), repeat=repeat)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


KINDS = ("all", "alone", "empty", "wide", "relevant", "raced", "again")


@pytest.fixture(scope="module")
def shown(where: Path) -> dict[str, list[Part]]:
    """Return what is shown of each folder, and of three together, fitted to no width yet."""
    return {kind: parts([read_folder(where / name) for name in kind.split()]) for kind in [*KINDS, "all wide again"]}


@settings(max_examples=30)
@given(width=st.integers(40, 200))
def test_no_line_is_longer_than_the_terminal_is_wide(shown: dict[str, list[Part]], width: int) -> None:
    for kind, found in shown.items():
        for part in found:
            text = fit_to_width(part, width)
            arm, second = (part.table[name].map(cell_len).max() for name in part.table.columns[:2])
            assert max(map(cell_len, text.splitlines())) <= max(width, arm + second + len("  " + " " + ",")), kind
            head = next(line for line in text.splitlines() if line.startswith("arm ")).split()
            if kind != "all wide again" and width >= 80:
                assert head[:4] == ["arm", "difference", "verdict", "repeats" if kind == "again" else "n"]


@given(width=st.integers(40, 200))
def test_every_width_says_the_same(shown: dict[str, list[Part]], width: int) -> None:
    for part in shown["all"]:
        lines, wide = fit_to_width(part, width), fit_to_width(part, 10_000)
        answer, which, table, sentences = (" ".join(block.split()) for block in lines.split("\n\n"))
        first, second, whole, last = (" ".join(block.split()) for block in wide.rstrip("\n").split("\n\n"))
        assert (answer, which, sentences) == (first, second, last)
        assert set(table.split()) <= set(whole.split())


def parsed(text: str, words: str) -> dict[str, str]:
    """Return the arms behind some words with what stands beside each."""
    line = next(line for line in text.splitlines() if line.startswith(words))
    arms = line.removeprefix(words).removeprefix(": ").removesuffix(".")
    found = [] if arms == "none" else re.split(r", (?=[a-z])", arms)
    return {each.partition(" ")[0]: each.partition(" ")[2] for each in found}


def full_table(folder: Path) -> dict[str, dict[str, str]]:
    """Return the cells of the first table that --full prints, by arm and column."""
    lines = [line for line in formatted([folder], "md").split("\n\n")[1].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[1:]}


@pytest.mark.parametrize("seed", range(8))
def test_the_lines_are_the_verdicts_and_differences_of_the_full_table(tmp_path: Path, seed: int) -> None:
    draws = np.random.default_rng(seed)
    names = [f"arm{k}" for k in range(6)]
    scores = {arm: draws.normal(0.6 + draws.normal(0, 0.02), 0.01, 6).tolist() for arm in names}
    for arm in names[1:3]:
        scores[arm][int(draws.integers(6))] = None
    folder = made_up_log(tmp_path, scores, search=("ok",))
    text, full = brief([folder], 10_000), full_table(folder)
    about = ", this configuration"
    heads = {
        "better": f"Better than arm0{about}",
        "worse": f"Worse{about}",
        "unresolved": "Unresolved, which is not the same as equal",
    }
    told = {arm: (verdict, cell) for verdict, words in heads.items() for arm, cell in parsed(text, words).items()}
    assert told == {
        arm: (full[arm]["verdict"].removeprefix("this configuration: ").split(" ")[0], full[arm]["difference"])
        for arm in names[1:]
    }
    rows = [line.split() for line in text.splitlines() if re.match(r"arm\d  ", line)]
    assert [row[0] for row in rows] == names
    assert all(told[row[0]][0] in row for row in rows[1:])


def test_where_some_differences_do_not_matter_a_line_says_which_arms_are_equal(where: Path) -> None:
    text = brief([where / "relevant"], 10_000)
    assert list(parsed(text, "Equal within 25 points")) == ["better_by_far", "worse", "near_it", "half_there"]
    assert {arm: row["relevant"] for arm, row in full_table(where / "relevant").items()}["worse"] == "equal within 25"
    assert "Equal" not in brief([where / "all"], 10_000)


def test_what_cannot_be_said_and_what_failed_stands_below_the_table(where: Path) -> None:
    text = brief([where / "all"], 10_000)
    assert "- none: no result on test accuracy, since no confirmed trial ended well." in text
    assert "- 6 of 48 planned trials failed, diverged or were lost. 7 more have not ended yet." in text
    assert "Likelihood (NLL), this configuration: better worse; worse better_by_far, half_there." in text
    assert brief([where / "alone"], 80).startswith("base is the only arm: there is nothing to compare it with.\n")
    assert "failed" not in brief([where / "alone"], 80)


def test_with_repeats_the_answer_is_over_whole_searches(where: Path) -> None:
    text = brief([where / "again"], 10_000)
    assert parsed(text, "Better than base") == {
        "better_by_far": full_table(where / "again")["better_by_far"]["difference"]
    }
    assert "Which arms beat base over repeated searches" in text
    head = next(line for line in text.splitlines() if line.startswith("arm ")).split()
    assert head[:4] == ["arm", "difference", "verdict", "repeats"]


def test_several_folders_have_their_names_and_one_table_over_all(where: Path) -> None:
    text = brief([where / "wide", where / "again"], 100)
    assert [line for line in text.splitlines() if line.startswith("made-up (")] == [
        "made-up (mlp on synthetic, 48 training examples, in wide)",
        "made-up (mlp on synthetic, 48 training examples, in again)",
    ]
    assert "Of sweeps with repeats only the first repeat counts: made-up" in text
    assert (
        text.index("Worse, this configuration: 学習率の減衰")
        < text.index("Best mean rank")
        < text.index("mean rank  win / tie / loss")
    )


def test_full_has_all_that_a_format_has_and_the_brief_says_how_to_get_it(where: Path) -> None:
    run = CliRunner().invoke
    for folder in ("all", "again"):
        words = run(app, ["table", folder]).output.splitlines()[-1].split()
        assert words == ["regtune", "table", folder, "--full"]
        full = run(app, words[1:]).output
        assert full == formatted([where / folder], "md") == run(app, ["table", folder, "--format", "md"]).output
        assert full.count("\n| arm") >= 3
    assert run(app, ["table", "all", "--full", "--format", "csv"]).output.startswith("arm,knobs,n,")


def test_the_width_is_that_of_the_terminal(where: Path) -> None:
    for width in (60, 120):
        shown = CliRunner().invoke(app, ["table", "all"], env={"COLUMNS": str(width)}).output
        assert shown == brief([Path("all")], width)


CELLS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12)


@given(rows=st.lists(st.tuples(*[CELLS] * 5), min_size=1, max_size=4), width=st.integers(1, 90))
def test_a_narrow_table_shows_the_most_important_columns_that_fit(rows: list[tuple[str, ...]], width: int) -> None:
    frame = pd.DataFrame(rows, columns=list("abcde"))
    lines = narrow(frame, width, kept=2).split("\n")
    widths = [max(map(cell_len, [name, *frame[name]])) for name in frame]
    shown = len(lines[1].split())
    assert lines[0].split() == list("abcde")[:shown]
    assert lines[1] == "  ".join("-" * each for each in widths[:shown])
    assert len(lines) == 2 + len(rows)
    assert cell_len(lines[1]) <= width or shown == 2
    assert shown == 5 or sum(widths[: shown + 1]) + 2 * shown > width
    assert all(cell_len(line) <= cell_len(lines[1]) for line in lines)


@given(pieces=st.lists(CELLS.filter(bool), min_size=1), width=st.integers(1, 60))
def test_flowed_words_are_all_there_and_no_line_could_take_one_more(pieces: list[str], width: int) -> None:
    lines = flowed(pieces, width).split("\n")
    assert " ".join(line.strip() for line in lines).split(" ") == pieces
    for line, following in pairwise(lines):
        assert cell_len(f"{line} {following.split()[0]}") > width
    assert all(cell_len(line) <= width or len(line.split()) == 1 for line in lines)


def flat(train: float, validation: float, epochs: int = 20) -> Curve:
    return [(train, validation)] * epochs


def line(train: float, validation: float, gains: tuple[float, float], epochs: int = 20) -> Curve:
    """Return curves that end there and gain so much in each epoch."""
    return [(train - gains[0] * k, validation - gains[1] * k) for k in reversed(range(epochs))]


HARDLY, LEARNING = "base hardly overfits, with {} % of training and {} % of validation examples right", "still learning"


@pytest.mark.parametrize(
    ("curve", "noise", "words"),
    [
        (flat(1.0, 0.9), 0.0, ()),  # all errors are on validation examples
        (flat(0.93, 0.9), 0.0, ()),  # a gap of three tenths of the errors
        (flat(0.92, 0.9), 0.0, (HARDLY.format("92.0", "90.0"),)),  # of two tenths
        (flat(0.55, 0.6), 0.0, (HARDLY.format("55.0", "60.0"),)),
        (flat(0.995, 0.985), 0.0, ()),  # one point, and two thirds of the errors
        (flat(1.0, 0.8), 0.5, ()),  # has learned the drawn labels by heart
        (flat(0.8, 0.8), 0.5, ()),  # has learned most of them
        (flat(0.42, 0.8), 0.5, (HARDLY.format("42.0", "80.0"),)),
        (
            line(0.9, 0.7, (0.01, 0.008)),
            0.0,
            (LEARNING, "2.0 points on training and 1.6 on validation", "last 2 of 20"),
        ),
        (line(0.9, 0.7, (0.01, 0.001)), 0.0, ()),  # learns by heart at the end
        (line(0.9, 0.7, (0.003, 0.003)), 0.0, ()),  # slow: 0.6 points in a tenth of training
        (line(0.9, 0.7, (0.05, 0.05), epochs=3), 0.0, (LEARNING, "in the last 1 of 3 epochs")),
        (line(0.9, 0.7, (0.03, 0.03), epochs=3), 0.0, ()),  # less than 3.3 points in a third of training
        ([(0.9, 0.7)], 0.0, ()),  # one epoch has no curve
        (line(0.72, 0.7, (0.01, 0.01)), 0.0, (HARDLY.format("72.0", "70.0"), f", and is {LEARNING}")),
    ],
)
def test_where_the_baseline_leaves_nothing_to_do_a_sentence_says_so(
    tmp_path: Path, curve: Curve, noise: float, words: Sequence[str]
) -> None:
    data: Json = {"name": "made-up", "train": 48, "label_noise": noise}
    folder = made_up_log(
        tmp_path, {"base": BASE, "other": BASE[::-1]}, search=("ok",), epochs=len(curve), data=data,
        curves={"base": curve, "other": flat(0.5, 0.5, len(curve))},
    )  # fmt: skip
    said, shown = hardly_overfits([load(folder)]), brief([folder], 10_000)
    assert bool(said) == bool(words)
    assert all(each in said for each in words)
    assert f"- {said}" in shown or not words
    assert ("can gain little" in shown) == bool(words)


def test_of_overfitting_nothing_is_said_from_two_trials_and_the_kept_epoch_counts(tmp_path: Path) -> None:
    curve = [*flat(0.7, 0.7, 9), (1.0, 0.7)]
    few = made_up_log(tmp_path / "few", {"base": BASE[:2]}, epochs=10, curves={"base": flat(0.7, 0.7, 10)})
    assert hardly_overfits([load(few)]) == ""
    assert "hardly overfits" in hardly_overfits([load(few), load(few)])
    late = made_up_log(tmp_path / "late", {"base": BASE}, epochs=10, curves={"base": curve})
    assert hardly_overfits([load(late)]) == ""
    rows, _ = read_log(late / "log.jsonl")
    for row in rows:
        if row["event"] == "epoch":
            row["epoch"]["kept"] = min(row["epoch"]["number"], 9)
            del row["epoch"]["stage"]  # logs of old versions have none
    write_log(late / "log.jsonl", rows)
    assert "70.0 % of training and 70.0 % of validation examples right" in hardly_overfits([load(late)])


def test_epochs_of_a_second_training_are_not_the_curve(tmp_path: Path) -> None:
    folder = made_up_log(tmp_path, {"base": BASE}, epochs=10, curves={"base": [*flat(0.7, 0.7, 9), (1.0, 0.7)]})
    rows, _ = read_log(folder / "log.jsonl")
    for row in rows:
        if row["event"] == "epoch":
            row["epoch"]["kept"] = 9
            row["epoch"]["stage"] = "retrain" if row["epoch"]["number"] == 10 else "train"
    write_log(folder / "log.jsonl", rows)
    assert "hardly overfits" in hardly_overfits([load(folder)])
