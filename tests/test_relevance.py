"""Practically equal: against statsmodels' TOST, how often it is wrong, and from the sweep file to every format."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from regtune.analysis.comparison import comparison
from regtune.analysis.repeat_scores import repeat_scores
from regtune.core.errors import Refused
from regtune.reports.output import formatted
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.repeats import repeats_as_text
from regtune.reports.tables.scores import scores_as_text
from regtune.results.loader import Results, load
from regtune.statistics.relevance import Relevance, relevance
from regtune.storage.compatibility import changed
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.made_up import made_up_log, with_terms
from tests.resuming import SMALL, ran, read, rows_of, trained_epochs

BASE = (0.5000, 0.5210, 0.4900, 0.5300, 0.5120)
EQUAL = (0.5001, 0.5212, 0.4899, 0.5301, 0.5119)
ABOVE = (0.5300, 0.5530, 0.5190, 0.5610, 0.5410)
VAGUE = (0.5500, 0.5000, 0.5200, 0.5000, 0.5300)


def answered(values: NDArray[np.float64], margin: float, alpha: float) -> Relevance:
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return relevance(mean=float(np.mean(values)), error=error, df=len(values) - 1, margin=margin, alpha=alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_equal_is_statsmodels_two_one_sided_tests(alpha: float) -> None:
    draws, seen = np.random.default_rng(3), set[bool]()
    for _ in range(200):
        values = draws.normal(draws.uniform(-0.8, 0.8), 0.8, size=int(draws.integers(3, 12)))
        p, _, _ = DescrStatsW(values).ttost_mean(-1.0, 1.0)
        answer = answered(values, 1.0, alpha)
        assert (answer == "equal") == (p < alpha)
        low, high = stats.t.interval(1 - alpha, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
        assert (answer == "better") == (low > 1.0)
        assert (answer == "worse") == (high < -1.0)
        seen.add(answer == "equal")
    assert seen == {True, False}


@pytest.mark.parametrize("true", [0.0, 0.1, 0.3, -0.3, 0.31, -0.5])
@pytest.mark.parametrize("margin", [0.02, 0.3])
def test_any_false_answer_is_as_rare_as_it_says(true: float, margin: float) -> None:
    """At the margin itself "equal" is true: it says "within"."""
    draws, alpha, runs = np.random.default_rng(5), 0.1, 1500
    right = {"undecided"} | ({"better"} if true > margin else {"worse"} if true < -margin else set())
    right |= {"equal"} if abs(true) <= margin else set()
    values = draws.normal(true, 0.3, size=(runs, 6))
    false = sum(answered(row, margin, alpha) not in right for row in values)
    assert stats.binomtest(false, runs, alpha, alternative="greater").pvalue > 1e-3


def test_over_several_arms_any_false_equal_is_within_the_error() -> None:
    """All arms are just beyond the margin, the worst case of each: there the error is what it may be, and not less."""
    draws, runs, arms = np.random.default_rng(6), 2000, 4
    values = draws.normal(1.0 + 1e-9, 0.5, size=(runs, arms, 8))
    false = sum(any(answered(row, 1.0, 0.05 / arms) == "equal" for row in run) for run in values)
    assert stats.binomtest(false, runs, 1 - (1 - 0.05 / arms) ** arms).pvalue > 1e-3


@pytest.mark.parametrize("error", [0.0, math.nan])
def test_no_error_decides_nothing(error: float) -> None:
    assert relevance(mean=0.0, error=error, df=4, margin=1.0, alpha=0.05) == "undecided"


def with_margin(folder: Path, margin: float | None, **arms: Sequence[float | None]) -> Results:
    log = made_up_log(folder, arms) / "log.jsonl"
    rows, _ = read_log(log)
    if margin is not None:
        rows[0]["sweep"]["confirm"]["relevant"] = margin
    write_log(log, rows)
    return load(folder)


def test_the_table_says_it_in_every_format_and_only_where_asked(tmp_path: Path) -> None:
    arms = {
        "base": BASE,
        "same": EQUAL,
        "above": ABOVE,
        "below": tuple(2 * a - b for a, b in zip(BASE, ABOVE, strict=True)),
    }
    results = with_margin(tmp_path / "with", 0.2, **arms, vague=VAGUE, few=(0.5, 0.51))
    words = ["", "equal within 0.2", "better", "worse", "undecided", "undecided"]
    assert comparison(results)["relevant"].to_list() == words
    text = tables(results).scores
    assert text.frame["relevant"].to_list() == words
    assert list(text.frame.columns)[:3] == ["arm", "verdict", "relevant"]
    assert "better or worse by more than 0.2 points" in text.caption
    (sweep,) = json.loads(formatted([results.path], "json"))["sweeps"]
    assert [arm["relevant"] for arm in sweep["arms"]] == words
    for form in ("csv", "md", "latex", "html"):
        assert "equal within 0.2" in formatted([results.path], form)

    without = with_margin(tmp_path / "without", None, **arms)
    assert "relevant" not in comparison(without)
    assert "relevant" not in scores_as_text(comparison(without))
    assert "Relevant" not in tables(without).scores.caption


def test_equal_takes_the_error_of_all_arms(tmp_path: Path) -> None:
    """At 1 - 2 x 5 % alone the interval would lie within the margin, at 1 - 2 x 5 % / 4 it does not."""
    gains = np.subtract(EQUAL, BASE)
    one, four = (100 * (abs(gains.mean()) + stats.t.ppf(1 - 0.05 / m, 4) * stats.sem(gains)) for m in (1, 4))
    between = round((one + four) / 2, 6)
    alone = with_margin(tmp_path / "alone", between, base=BASE, same=EQUAL)
    beside = with_margin(tmp_path / "beside", between, base=BASE, same=EQUAL, a=VAGUE, b=VAGUE, c=VAGUE)
    assert comparison(alone)["relevant"][1].startswith("equal within")
    assert comparison(beside)["relevant"][1] == "undecided"


def test_the_table_over_searches_says_it_too(tmp_path: Path) -> None:
    repeats = []
    for number in range(1, 4):
        shift = 0.001 * number
        made_up_log(
            tmp_path / str(number), {"base": (0.5, 0.5), "above": (0.53 + shift, 0.53)}, search=("ok",), repeat=number
        )
        repeats.append(with_terms(load(tmp_path / str(number)), relevant=1.0))
    frame = repeat_scores(repeats)
    assert frame is not None
    assert frame["relevant"].to_list() == ["", "better"]
    assert repeats_as_text(frame)["relevant"].to_list() == ["", "better"]


ASKED = SMALL.replace("seeds = 2", "seeds = 2\nrelevant = 0.5")


def test_it_makes_no_other_sweep_and_stands_in_the_header_only_where_given(tmp_path: Path) -> None:
    assert "relevant" not in read(tmp_path, SMALL).plain()["confirm"]
    plain, asked = (read(tmp_path, text).plain() for text in (SMALL, ASKED))
    assert asked["confirm"]["relevant"] == 0.5
    other = asked | {"confirm": asked["confirm"] | {"relevant": 0.1}}
    for before, after in ((plain, asked), (asked, plain), (asked, other)):
        assert changed(before, after) == ([], [])


def test_a_finished_sweep_takes_it_without_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ran(tmp_path)
    before = log.read_bytes()
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path, ASKED)
        assert load(log).sweep.confirm.relevant == 0.5
        asked = log.read_bytes()
        ran(tmp_path, ASKED)
        assert log.read_bytes() == asked, "nothing new, nothing written"
        ran(tmp_path, SMALL)
    assert not trained
    assert asked.startswith(before)
    first, second, third = rows_of(log, "header")
    assert {**second, "time": 0, "sweep": 0} == {**first, "time": 0, "sweep": 0}
    assert third["sweep"] == first["sweep"]


@pytest.mark.parametrize("given", ["0", "-1", "101", '"0.2"'])
def test_a_margin_that_is_none_is_refused_in_one_line(tmp_path: Path, given: str) -> None:
    with pytest.raises(Refused, match=r"confirm\.relevant: expected .*, given"):
        read(tmp_path, ASKED.replace("relevant = 0.5", f"relevant = {given}"))
