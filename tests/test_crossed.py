"""The bootstrap over seeds x test examples against one that takes rows and columns one resample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from regtune.core.errors import Refused
from regtune.statistics import crossed_bootstrap as crossed
from regtune.statistics.crossed_bootstrap import crossed_intervals, resampled, variance


def test_it_is_the_brute_force_bootstrap() -> None:
    """The same draws, each resample built as a table of its own."""
    gains = np.random.default_rng(1).integers(-1, 2, (4, 23)).astype(float)
    draws = np.random.default_rng(0)
    rows, columns = draws.integers(4, size=(300, 4)), draws.integers(23, size=(300, 23))
    brute = [gains[np.ix_(rows[k], columns[k])].mean() for k in range(300)]
    assert resampled([gains], resamples=300)[0] == pytest.approx(brute)


def test_parts_have_the_spread_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    gains = np.random.default_rng(2).integers(-1, 2, (5, 40)).astype(float)
    whole = resampled([gains], resamples=4000)[0]
    monkeypatch.setattr(crossed, "AT_ONCE", 40 * 7)
    parts = resampled([gains], resamples=4000)[0]
    assert parts.shape == (4000,)
    assert parts.std() == pytest.approx(whole.std(), rel=0.05)


def test_its_variance_is_owens() -> None:
    """Within (1 - 1/n)(1 - 1/m) of the pieces: rows, columns and what is left (A. B. Owen, 2007, for a full table)."""
    draws = np.random.default_rng(3)
    gains = draws.normal(size=(6, 1)) + draws.normal(size=(1, 50)) + draws.normal(size=(6, 50))
    by_row, by_column = gains.mean(1), gains.mean(0)
    rest = gains - by_row[:, None] - by_column + gains.mean()
    exact = by_row.var() / 6 + by_column.var() / 50 + rest.var() / 300
    assert resampled([gains.astype(np.float32)], resamples=20_000)[0].var() == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("seeds", [3, 15])
@pytest.mark.parametrize("lean", [0.0, 0.3])
def test_intervals_cover_the_difference_on_other_test_sets(seeds: int, lean: float) -> None:
    """Two arms of equal accuracy, which examples of their own lie well or ill; 95 % intervals of 400 made-up sweeps."""
    draws, pairs = np.random.default_rng(6), []
    for _ in range(400):
        easy = np.clip(0.8 + lean * draws.normal(size=(2, 200)), 0, 1)
        pairs.append((draws.random((seeds, 200)) < easy[0], draws.random((seeds, 200)) < easy[1]))
    found = crossed_intervals(pairs)
    missed = sum(not one.low <= 0 <= one.high for one in found)
    assert missed <= stats.binom.ppf(0.99, 400, 0.05)
    width = np.array([one.high - one.low for one in found])
    alone = np.array([2 * stats.t.ppf(0.975, seeds - 1) * one.sd / math.sqrt(seeds) for one in found])
    assert (width > 0.95 * alone).all(), "what is drawn beside the seeds makes it no surer"
    if not lean:
        assert width.mean() < 1.15 * alone.mean(), "and where examples do not matter hardly less sure"


def test_the_variance_is_without_bias() -> None:
    """Over made-up tables of known pieces: seeds / n + examples / m + rest / nm."""
    draws = np.random.default_rng(7)
    tables = draws.normal(0, 0.5, (2000, 8, 1)) + draws.normal(0, 2, (2000, 1, 30)) + draws.normal(0, 3, (2000, 8, 30))
    found = np.mean([variance(table.astype(np.float32)) for table in tables])
    assert found == pytest.approx(0.25 / 8 + 4 / 30 + 9 / 240, rel=0.05)


def test_an_interval_holds_the_difference_and_swaps_with_the_arms() -> None:
    draws = np.random.default_rng(4)
    first, second = draws.random((5, 200)) < 0.9, draws.random((5, 200)) < 0.8
    found, swapped = crossed_intervals([(first, second), (second, first)])
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.low < found.mean < found.high
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert [found] == crossed_intervals([(first, second)])  # neighbours change nothing


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.ones((2, 9), bool), np.eye(2, 9, dtype=bool)),
        (np.ones((3, 1), bool), np.eye(3, 1, dtype=bool)),
        (np.ones((5, 9), bool), np.ones((5, 9), bool)),
        (np.ones((0, 9), bool), np.ones((0, 9), bool)),
        (np.ones((5, 0), bool), np.ones((5, 0), bool)),
    ],
)
def test_no_interval_where_there_is_nothing_to_go_by(first: np.ndarray, second: np.ndarray) -> None:
    assert math.isnan(crossed_intervals([(first, second)])[0].low)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(Refused, match="one shape"):
        crossed_intervals([(np.ones((3, 4), bool), np.ones((3, 5), bool))])
