"""The report on several sweeps: one page, no name twice, and the critical-difference diagram."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import unescape
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regtune.analysis.sweeps import SweepsTogether
from regtune.core.records import Json
from regtune.reports.figures._drawing import Nothing
from regtune.reports.figures.catalog import FIGURES, figure
from regtune.reports.figures.critical_difference import bar_columns, critical, groups, two_lines
from regtune.reports.page.several import page_of_several
from regtune.reports.tables.folder import folder_tables
from regtune.results.loader import load
from regtune.statistics.ranks import ranks
from tests.command_line import called
from tests.made_up import made_up_log
from tests.test_sweeps import ARMS, several
from tests.test_tables import HOSTILE


def scored(sweeps: int, arms: int, gap: float = 0.5) -> SweepsTogether:
    """Return made-up scores of arms that are the better the later they come."""
    draws = np.random.default_rng(0).standard_normal((sweeps, arms)) + gap * np.arange(arms)
    names = [f"sweep{k}" for k in range(sweeps)], [f"arm{k}" for k in range(arms)]
    scores = pd.DataFrame(draws, index=names[0], columns=names[1])
    return SweepsTogether(sweeps=(), scores=scores, ranks=ranks(scores), first={}, wins=None)


@pytest.mark.parametrize(("sweeps", "arms"), [(3, 3), (8, 10), (30, 10), (12, 20)])
def test_two_arms_share_a_bar_exactly_where_nemenyi_does_not_tell_them_apart(sweeps: int, arms: int) -> None:
    found = scored(sweeps, arms)
    members = groups(found.ranks.mean, found.reach)
    for a, b in combinations(found.ranks.mean.index, 2):
        together_in_one = any(a in group and b in group for group in members)
        assert together_in_one == (found.ranks.p > 0.05 or found.ranks.pairs.loc[a, b] >= 0.05)
    assert all(len(group) > 1 for group in members)
    assert not any(set(a) <= set(b) for a in members for b in members if a is not b)


def test_bars_of_one_column_share_no_arm() -> None:
    arms = [f"arm{k}" for k in range(8)]
    members = [arms[:3], arms[2:5], arms[3:6], arms[6:]]
    assert bar_columns(members, arms) == [0, 1, 0, 0]


def test_long_names_go_on_in_a_second_line() -> None:
    assert two_lines("random_erasing_then_mixup") == "random_erasing_then_\nmixup"
    assert two_lines("regularizer_number_16_with") == "regularizer_number_\n16_with"
    assert two_lines("a" * 30) == f"{'a' * 20}\n{'a' * 10}"
    assert two_lines("short\nname") == "short name"


def test_the_diagram_has_every_arm_its_bars_and_the_ruler() -> None:
    found = scored(8, 6)
    drawing = figure("together", "Ranks", critical, found)
    assert drawing.spec is not None
    rows = [row for data in drawing.spec["datasets"].values() for row in data]
    assert {row["arm"]: row["mean rank"] for row in rows if "mean rank" in row} == found.ranks.mean.to_dict()
    assert len([row for row in rows if "group" in row]) == sum(map(len, groups(found.ranks.mean, found.reach)))
    (ruler,) = [row for row in rows if "from" in row]
    assert ruler["to"] - ruler["from"] == pytest.approx(found.ranks.critical)
    assert "Demsar" in drawing.caption


def test_there_is_no_diagram_without_a_test_or_with_too_many_arms() -> None:
    for found, words in ((scored(2, 4), "fewer than 3 sweeps"), (scored(4, 2), "fewer than 3 arms")):
        drawing = critical(found)
        assert isinstance(drawing, Nothing)
        assert words in drawing.why
    many = critical(scored(3, 41))
    assert isinstance(many, Nothing)
    assert "More than 40 arms" in many.why


def test_the_page_has_one_library_one_chapter_a_sweep_and_no_name_twice(tmp_path: Path) -> None:
    about: list[Json] = [{"name": "digits", "train": 48}, {"name": "mnist", "train": 48}, {"name": "svhn", "train": 9}]
    arms = {"base": ARMS["base"], HOSTILE: ARMS["high"], "low": ARMS["low"]}
    names = ("one <b>", "same", "same")
    folders = [
        made_up_log(tmp_path / str(k), arms, name=name, data=data)
        for k, (name, data) in enumerate(zip(names, about, strict=True))
    ]
    text, figures = page_of_several([folder_tables(repeats) for repeats in [[load(folder)] for folder in folders]])
    body, _, rest = text.partition('<script type="application/json"')
    assert not [name for name, times in Counter(re.findall(r' id="([^"]+)"', text)).items() if times > 1]
    assert len({drawn.name.lower() for drawn in figures}) == len(figures) == 1 + 3 * len(FIGURES)
    assert set(re.findall(r'href="#([^"]+)"', body)) - {"top"} <= set(re.findall(r' id="([^"]+)"', body))
    titles = [unescape(title) for title in re.findall(r"<h2[^>]*>(.*?)</h2>", body)]
    assert titles == ["Together", "one <b>", "same (mlp on mnist)", "same (mlp on svhn)"]
    levels = [int(level) for level in re.findall(r"<h(\d)", body)]
    assert (levels[0], max(levels)) == (1, 4)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert "<b>" not in body
    charts = json.loads(rest.partition("</script>")[0].partition(">")[2])["charts"]
    assert list(charts) == [drawn.name for drawn in figures if drawn.spec is not None]
    assert charts.keys() >= {"together-critical", "one-b-effects", "same-mlp-on-svhn-effects"}
    assert text.count("</script>") == 3
    assert not re.search(r'(src|href)="(?!#)', body)
    assert "taken as a random sample" in body


def test_two_sweeps_give_a_page_that_says_why_it_has_no_diagram(tmp_path: Path) -> None:
    sweeps = several(tmp_path, 2)
    text, figures = page_of_several([folder_tables(repeats) for repeats in [[results] for results in sweeps]])
    assert figures[0].spec is None
    assert "There is no critical difference: fewer than 3 sweeps that have all arms." in text


def test_report_of_several_folders_on_the_command_line(tmp_path: Path) -> None:
    folders = [str(made_up_log(tmp_path / name, {"base": (0.5,)}, name=name, search=("ok",))) for name in "ab"]
    done = called("report", *folders, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "wrote report.html"
    written = {path.name for path in (tmp_path / "report-figures").iterdir()}
    assert {"a-confirmed_curves.svg", "b-confirmed_curves.pdf"} <= written
    assert {name.partition("-")[0] for name in written} == {"a", "b"}
