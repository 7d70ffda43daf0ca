"""Several sweeps together: labels, matrix, ranks, wins, words, and the table in every format."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from regtune.analysis.comparison import Analysis
from regtune.analysis.labels import labels, slugs
from regtune.analysis.sweeps import SweepsTogether, compare_sweeps, frame
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.reports.formats import to_csv
from regtune.reports.output import formatted
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.sweeps import caption_over_sweeps, sentences_over_sweeps, table_over_sweeps
from regtune.results.loader import Results, load
from regtune.statistics.ranks import ranks
from tests.command_line import called
from tests.made_up import made_up_log
from tests.test_tables import HOSTILE, strict

BASE, HIGH, LOW = (0.5, 0.52, 0.49, 0.53), (0.7, 0.71, 0.69, 0.74), (0.3, 0.31, 0.3, 0.34)
NEAR = (0.501, 0.519, 0.493, 0.529)
ARMS: dict[str, tuple[float | None, ...]] = {"base": BASE, "high": HIGH, "low": LOW}
Arms = dict[str, tuple[float | None, ...]]


def sweep(folder: Path, arms: Arms, name: str, data: str = "", train: int = 48) -> Results:
    about: Json = {"name": data or name, "train": train}
    return load(made_up_log(folder / f"{name}-{data}-{train}", arms, name=name, data=about))


def compared(sweeps: Sequence[Results]) -> SweepsTogether:
    return compare_sweeps([Analysis(results=results) for results in sweeps])


def several(folder: Path, count: int, arms: Arms = ARMS) -> list[Results]:
    return [sweep(folder, arms, f"sweep{number}") for number in range(count)]


def test_the_matrix_has_mean_confirmed_accuracies_and_ranks_are_those_of_it(tmp_path: Path) -> None:
    found = compared(several(tmp_path, 4))
    assert list(found.scores.index) == ["sweep0", "sweep1", "sweep2", "sweep3"]
    assert found.scores.loc["sweep0"].to_dict() == pytest.approx({"base": 0.51, "high": 0.71, "low": 0.3125})
    assert found.ranks.mean.to_dict() == {"base": 2, "high": 1, "low": 3}
    assert found.ranks.p == ranks(found.scores).p
    assert frame(found).loc[0, "test_accuracy: sweep0"] == pytest.approx(0.51)
    table = table_over_sweeps(found)
    assert table.iloc[1].to_list() == ["high", "1.00", "4 / 0 / 0", *["71.00"] * 4]
    assert table.iloc[0].to_list()[:3] == ["base", "2.00", ""]


def test_wins_are_the_verdicts_of_each_sweep_and_an_arm_without_a_common_seed_is_no_tie(tmp_path: Path) -> None:
    arms: list[Arms] = [ARMS, {"base": BASE, "high": NEAR, "low": LOW}, {"base": BASE, "high": (None,), "low": LOW}]
    found = compared([sweep(tmp_path, each, f"sweep{k}") for k, each in enumerate(arms)])
    assert found.wins is not None
    assert found.wins.loc["high"].to_dict() == {"win": 1, "tie": 1, "loss": 0}
    assert found.wins.loc["low"].to_dict() == {"win": 0, "tie": 0, "loss": 3}
    assert (found.ranks.n, found.ranks.left_out) == (2, ("sweep2",))
    words = caption_over_sweeps(found)
    assert "Left out of the ranks, since it lacks an arm: sweep2 (no confirmed trial of high)." in words
    assert "the mean over 2 of them" in words
    assert "Confirmed trials still to come: sweep2 (4)." in words
    assert "No two arms can be told apart over sweeps: fewer than 3 sweeps that have all arms." in (
        sentences_over_sweeps(found)
    )


def test_sweeps_that_differ_in_their_first_arm_count_no_wins_and_say_so(tmp_path: Path) -> None:
    turned = {arm: ARMS[arm] for arm in ("high", "base", "low")}
    found = compared([*several(tmp_path, 3), sweep(tmp_path, turned, "other")])
    assert found.wins is None
    assert "differ in their first arm: base in sweep0; base in sweep1; base in sweep2; high in other." in (
        caption_over_sweeps(found)
    )
    assert "win / tie / loss" not in table_over_sweeps(found)
    assert frame(found)["win"].isna().all()
    assert sentences_over_sweeps(found)[1].startswith("Told apart over these sweeps: 1 of 3 pairs")


def test_an_arm_that_not_every_sweep_has_is_shown_and_not_ranked(tmp_path: Path) -> None:
    found = compared([*several(tmp_path, 3), sweep(tmp_path, {**ARMS, "more": HIGH}, "other")])
    assert found.ranks.n == 4
    assert table_over_sweeps(found).iloc[3].to_list() == ["more", "–", "1 / 0 / 0", "–", "–", "–", "71.00"]
    assert "Not ranked, since not every sweep has it: more." in caption_over_sweeps(found)


def test_the_caption_says_what_the_inference_is_over_and_by_which_tests(tmp_path: Path) -> None:
    found = compared(several(tmp_path, 6))
    words = caption_over_sweeps(found)
    for part in (
        "The inference is over sweeps, taken as a random sample of the sweeps that one might run.",
        f"p = {found.ranks.p:.3g}",
        "Post-hoc (Nemenyi's test): arms are told apart if their mean ranks differ by more than the critical "
        f"difference {found.ranks.critical:.2f}",
        "sweep0: mlp on sweep0, 48 training examples",
        "in how many sweeps an arm was better than base",
    ):
        assert part in words
    assert sentences_over_sweeps(found) == [
        "Best mean rank: high, 1.00.",
        "No arm is told apart from base over these sweeps.",
    ]
    assert sentences_over_sweeps(compared(several(tmp_path, 12)))[1] == (
        "Told apart from base over these sweeps, ranked ahead of it: high; behind it: low."
    )


def test_where_friedman_does_not_reject_no_arms_are_told_apart(tmp_path: Path) -> None:
    orders = [("base", "high", "low"), ("high", "low", "base"), ("low", "base", "high")]
    names = [dict(zip(order, (BASE, HIGH, LOW), strict=True)) for order in orders]
    found = compared([sweep(tmp_path, {arm: arms[arm] for arm in ARMS}, f"s{k}") for k, arms in enumerate(names)])
    assert found.ranks.p == pytest.approx(1)
    assert math.isinf(found.reach)
    assert "it does not reject at 5 %, so no two arms are told apart" in caption_over_sweeps(found)
    assert sentences_over_sweeps(found)[1] == "No two arms are told apart over these sweeps: Friedman's p = 1."


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ({"base": BASE, "high": HIGH}, "fewer than 3 arms"),
        ({"base": BASE, "high": BASE, "low": BASE}, "all arms tied in all sweeps"),
        ({"base": BASE, "high": (None,), "low": LOW}, "no sweep has a confirmed trial of every arm that is ranked"),
    ],
)
def test_where_nothing_can_be_said_the_reason_is_said(tmp_path: Path, arms: Arms, words: str) -> None:
    found = compared(several(tmp_path, 3, arms))
    assert any(words in sentence for sentence in sentences_over_sweeps(found))
    assert math.isnan(found.reach)


def test_sweeps_without_a_common_arm_still_give_a_table(tmp_path: Path) -> None:
    found = compared([sweep(tmp_path, {name: BASE}, name) for name in "abc"])
    assert list(table_over_sweeps(found)["mean rank"]) == ["–"] * 3
    assert "Not ranked, since not every sweep has it: a, b, c." in caption_over_sweeps(found)


def test_labels_tell_sweeps_of_one_name_apart_by_as_little_as_will_do(tmp_path: Path) -> None:
    first, second = sweep(tmp_path, ARMS, "same", "digits"), sweep(tmp_path, ARMS, "same", "mnist")
    third, other = sweep(tmp_path, ARMS, "same", "mnist", 96), sweep(tmp_path, ARMS, "other")
    assert labels([first, second, other]) == ["same (mlp on digits)", "same (mlp on mnist)", "other"]
    assert labels([second, third]) == [
        "same (mlp on mnist, 48 training examples)", "same (mlp on mnist, 96 training examples)",
    ]  # fmt: skip
    again = load(made_up_log(tmp_path / "again", ARMS, name="same", data={"name": "mnist", "train": 48}))
    assert labels([second, again])[1] == "same (mlp on mnist, 48 training examples, in again)"
    deeper = load(made_up_log(tmp_path / "x" / "again", ARMS, name="same", data={"name": "mnist", "train": 48}))
    assert labels([again, deeper]) == ["1 same", "2 same"]
    assert "Same data and same network, so hardly independent: 1 same, 2 same." in (
        caption_over_sweeps(compared([again, deeper]))
    )


def test_slugs_are_fit_for_files_and_all_different() -> None:
    assert slugs(["Digits, 200", "digits 200", "../..", "é", "a" * 99]) == [
        "digits-200", "digits-200-2", "sweep", "sweep-4", "a" * 60,
    ]  # fmt: skip


def test_a_folder_given_twice_is_refused(tmp_path: Path) -> None:
    one = sweep(tmp_path, ARMS, "one")
    with pytest.raises(Refused, match="once, given it twice; leave one out"):
        compared([one, one])


@pytest.mark.parametrize("form", ["md", "html", "latex"])
def test_the_table_over_sweeps_comes_behind_the_single_ones(tmp_path: Path, form: str) -> None:
    sweeps = several(tmp_path, 3, {"base": BASE, HOSTILE: HIGH, "low": LOW})
    folders = [results.path for results in sweeps]
    text, single = formatted(folders, form), "\n".join(formatted([folder], form) for folder in folders)
    assert text.startswith(single)
    rest = text.removeprefix(single)
    assert "taken as a random sample" in rest
    assert "Best mean rank" in rest
    if form == "html":
        assert "<script>" not in rest
        assert rest.count("<tr>") == 4
    if form == "latex":
        assert rest.count(r"\toprule") == 1
        rows = rest.partition(r"\toprule")[2].splitlines()[1:]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows if row.endswith(r"\\")}) == 1
        assert r"a\&b\_\%\$\#\{\}" in rest
    assert "random sample" not in single


def test_json_has_a_key_for_it_and_csv_keeps_its_rows(tmp_path: Path) -> None:
    sweeps = several(tmp_path, 3, {"base": BASE, "high": HIGH, "low": (None,)})
    folders = [results.path for results in sweeps]
    found = strict(formatted(folders, "json"))
    alone = strict(formatted(folders[:1], "json"))
    assert (found["sweeps"][0], alone["together"]) == (alone["sweeps"][0], None)
    assert found["together"]["friedman_p"] is None
    assert found["together"]["left_out"] == ["sweep0", "sweep1", "sweep2"]
    base, high, low = found["together"]["arms"]
    assert (base["win"], high["win"], low["win"]) == (None, 3, None)
    assert high["test_accuracy"] == pytest.approx({f"sweep{k}": 0.71 for k in range(3)})
    assert formatted(folders, "csv") == to_csv([tables(results) for results in sweeps])


def test_several_folders_on_the_command_line(tmp_path: Path) -> None:
    folders = [str(made_up_log(tmp_path / name, ARMS, name=name)) for name in "abc"]
    done = called("table", "--full", *folders, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3 sweeps together (") == 1
    refused = called("table", "--full", *folders, folders[0], folder=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
