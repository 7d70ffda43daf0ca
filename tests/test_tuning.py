"""Tuning curves: against every way to draw n trials, and how often their bands hold; what the table says of them."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opda.nonparametric import EmpiricalDistribution
from scipy import stats

from regtune.analysis.comparison import comparison
from regtune.analysis.tuning import tuning
from regtune.core.errors import Refused
from regtune.reports.figures import tuning_curves
from regtune.reports.figures._drawing import Nothing
from regtune.reports.formats import FORMATS
from regtune.reports.output import formatted
from regtune.reports.page.sections import sections
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables
from regtune.reports.tables.tuning import BAND as BAND_OF
from regtune.results.loader import Results, load
from regtune.statistics.tuning import MOST_SIMULATED, round_budgets, tuning_curve
from tests.made_up import made_up_log

BAND = BAND_OF.format(ends="0 or 100")

SHARES = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=12)
ROOM = 1e-12


# Statistics


@settings(deadline=None)
@given(st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=5), st.integers(2, 4))
def test_it_is_the_median_over_every_way_to_draw_n_trials(scores: list[float], n: int) -> None:
    every = [max(drawn) for drawn in product(scores, repeat=n)]
    assert tuning_curve(scores, [n], band=False).best == (median_low(every),)


@settings(deadline=None)
@given(SHARES)
def test_it_rises_stays_within_its_band_and_does_not_know_the_order_of_trials(scores: list[float]) -> None:
    found = tuning_curve(scores, range(1, len(scores) + 1))
    for values in (found.best, found.low, found.high):
        assert list(values) == sorted(values)
    assert all(low <= best <= high for low, best, high in zip(found.low, found.best, found.high, strict=True))
    assert found == tuning_curve(scores[::-1], range(1, len(scores) + 1))


@pytest.mark.parametrize("n", [1, 7, 20, MOST_SIMULATED + 1])
def test_the_band_is_opdas(n: int) -> None:
    """That of the distribution function which opda gives for the very scores, ties and zeros among them."""
    scores, places = np.random.default_rng(n).random(n).round(1), round_budgets(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        below, point, above = EmpiricalDistribution.confidence_bands(
            scores, 0.95, 0.0, 1.0, generator=np.random.default_rng(0), n_jobs=1,
            method="ld_equal_tailed" if n <= MOST_SIMULATED else "ks",
        )  # fmt: skip
    found = tuning_curve(list(scores), places)
    assert found.low == pytest.approx(above.quantile_tuning_curve(places))
    assert found.best == pytest.approx(point.quantile_tuning_curve(places))
    assert found.high == pytest.approx(below.quantile_tuning_curve(places))


@pytest.mark.parametrize("values", [0, 8], ids=["continuous", "with ties"])
def test_the_whole_curve_lies_within_its_band(values: int) -> None:
    """300 searches of 10 trials each; at every n from 1 to 10, or it counts as missed."""
    draws, ns = np.random.default_rng(3), np.arange(1, 11)
    truth = 0.5 ** (1 / ns)  # the median of the best of n uniform numbers
    if values:
        truth = np.ceil(truth * values) / values
    missed = 0
    for _ in range(300):
        scores = draws.random(10)
        found = tuning_curve(list(np.ceil(scores * values) / values if values else scores), ns.tolist())
        missed += not ((np.array(found.low) <= truth + ROOM) & (truth <= np.array(found.high) + ROOM)).all()
    assert missed <= stats.binom.ppf(0.99, 300, 0.05)


def test_a_band_tells_twenty_trials_from_two_hundred() -> None:
    """It is no wider than it must be: the lower end rises with the trials behind it, and so does what it excludes."""
    few, many = (tuning_curve(list((np.arange(n) + 0.5) / n), [1, 5]) for n in (10, 80))
    assert few.low[0] < many.low[0] < 0.5 < many.high[0] < few.high[0]
    assert many.high[0] < many.low[1], "five trials are better than one, and 80 trials show it"


@pytest.mark.parametrize("scores", [[], [0.5, 1.2], [-0.1], [math.nan]])
def test_what_is_no_share_is_refused(scores: list[float]) -> None:
    with pytest.raises(Refused, match="expected one or more scores from 0 to 1"):
        tuning_curve(scores, [1])


@pytest.mark.parametrize(
    ("most", "found"),
    [(0, []), (1, [1]), (2, [1, 2]), (10, [1, 2, 5, 10]), (40, [1, 2, 5, 10, 20, 40]),
     (101, [1, 2, 5, 10, 20, 50, 100, 101])],
)  # fmt: skip
def test_budgets_are_round_and_end_with_all(most: int, found: list[int]) -> None:
    assert round_budgets(most) == found


# Tables and figure

RANDOM = {"search": {"sampler": "random", "pruner": "none"}}
LOW, HIGH = [0.5, 0.6, 0.7, 0.55, 0.65], [0.8, 0.9, 0.85, 0.81, 0.88]


def made_up(folder: Path, ends: Sequence[str] = ("ok",) * 5, **search: Any) -> Results:
    terms = {"search": RANDOM["search"] | search}
    arms = {"base": (0.5, 0.6, 0.55), "other": (0.6, 0.7, 0.66)}
    return load(made_up_log(folder, arms, search=ends, terms=terms, searched={"base": LOW, "other": HIGH}))


def test_the_table_has_the_curve_of_each_arm(tmp_path: Path) -> None:
    results = made_up(tmp_path)
    rows = tuning(results).set_index("arm")
    expected = tuning_curve(HIGH, [1, 2, 5])
    for end, values in (("", expected.best), ("_low", expected.low), ("_high", expected.high)):
        assert [rows.loc["other", f"best_of_{n}{end}"] for n in (1, 2, 5)] == list(values)
    found = tables(results).tuning
    assert found is not None
    assert found.frame.columns.to_list() == ["arm", "trials", "n = 1", "n = 2", "n = 5"]
    assert found.frame["n = 1"].to_list()[0].startswith("60.0 [0.0, ")
    assert BAND in found.caption


def test_every_format_has_it(tmp_path: Path) -> None:
    results = made_up(tmp_path)
    for form in set(FORMATS) - {"csv", "json"}:
        assert "n = 5" in formatted([tmp_path], form)
    assert {"best_of_5", "best_of_5_low", "tuning_trials"} <= {*formatted([tmp_path], "csv").splitlines()[0].split(",")}
    (sweep,) = json.loads(formatted([tmp_path], "json"))["sweeps"]
    assert sweep["arms"][1]["best_of_5"] == 0.9
    assert BAND in sweep["captions"]["tuning"]
    cost = next(section for section in sections(folder_tables([results]), []) if section.id == "cost")
    assert "n = 5" in {column for table in cost.tables for column in table.frame}


def test_a_trial_that_failed_counts_as_nothing_found_and_a_lost_one_not_at_all(tmp_path: Path) -> None:
    rows = tuning(made_up(tmp_path, ("failed", "ok", "diverged", "lost", "ok"))).set_index("arm")
    assert rows.loc["other", "tuning_trials"] == 4
    assert rows.loc["other", "best_of_1"] == 0.0
    assert rows.loc["other", "best_of_4"] == 0.9
    assert "best_of_5" not in rows


@pytest.mark.parametrize(
    ("search", "ends", "words"),
    [
        ({"sampler": "tpe"}, ("ok",) * 5, "trials of the sampler tpe are not known to be"),
        ({"pruner": "asha"}, ("ok", "pruned", "ok", "ok", "ok"), "pruned by their score: base, other."),
        ({"pruner": "cautious", "sampler": "qmc"}, ("pruned", "ok", "ok", "ok", "ok"), "pruned by their score"),
        ({"sampler": None}, ("ok",) * 5, "does not say by which sampler"),
    ],
)
def test_no_band_where_trials_are_not_independent_draws(
    tmp_path: Path, search: dict[str, Any], ends: tuple[str, ...], words: str
) -> None:
    results = made_up(tmp_path, ends, **search)
    found = tables(results).tuning
    assert found is not None
    assert words in found.caption
    assert BAND not in found.caption
    assert not found.frame.map(lambda cell: "[" in str(cell)).to_numpy().any()
    assert tuning(results).filter(regex="_(low|high)$").isna().to_numpy().all()
    assert not isinstance(tuning_curves.tuning_curves(results), Nothing), "the curve is there all the same"


@pytest.mark.parametrize(
    ("search", "ends", "words"),
    [
        ({"sampler": "qmc"}, ("ok",) * 5, "Sobol points"),
        ({"sampler": "paired"}, ("ok",) * 5, "Sobol points"),
        ({"sampler": "grid"}, ("ok",) * 5, "points of the grid"),
        ({"pruner": "asha"}, ("ok",) * 5, BAND),
        ({"pruner": "epochs", "stop_after": 2}, ("pruned",) * 5, BAND),
    ],
)
def test_a_band_where_they_are_and_what_it_means(
    tmp_path: Path, search: dict[str, Any], ends: tuple[str, ...], words: str
) -> None:
    found = tables(made_up(tmp_path, ends, **search)).tuning
    assert found is not None
    assert words in found.caption
    assert "No band" not in found.caption
    assert found.frame["n = 5"].str.contains("[", regex=False).all()


def test_the_figure_has_the_curves_of_the_table(tmp_path: Path) -> None:
    results = made_up(tmp_path)
    rows, table = tuning_curves.frame(results), comparison(results)
    for place, arm in enumerate(("base", "other")):
        mine = rows[rows["arm"] == arm].set_index("n")
        assert mine.index.to_list() == [1, 2, 3, 4, 5]
        names = ["best_of_2", "best_of_2_low", "best_of_2_high"]
        expected = 100 * table[names].to_numpy(float)[place]
        assert mine[["best", "low", "high"]].to_numpy(float)[1] == pytest.approx(expected)


def test_no_table_and_no_figure_where_no_trial_ended_well(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": (None,)}, search=("failed", "diverged")))
    assert tables(results).tuning is None
    assert isinstance(tuning_curves.tuning_curves(results), Nothing)
