"""Ranks over several sweeps against scipy and scikit-posthocs, and what few or tied sweeps allow."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regtune.statistics.ranks import ranks, win_tie_loss


def table(sweeps: int, gaps: list[float], seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed).standard_normal((sweeps, len(gaps)))
    return pd.DataFrame(
        draws + gaps, index=[f"sweep{n}" for n in range(sweeps)], columns=[f"arm{n}" for n in range(len(gaps))]
    )


def test_the_best_has_rank_1_and_the_p_is_friedmans() -> None:
    scores = table(10, [0.0, 1.0, 3.0, 0.0])
    found = ranks(scores)
    assert found.mean.idxmin() == "arm2"
    assert found.mean.sum() == pytest.approx(10)
    assert found.p == stats.friedmanchisquare(*scores.to_numpy().T).pvalue
    assert found.n == 10


def test_nemenyi_agrees_with_its_critical_difference() -> None:
    """Demsar (2006), table 5: q = 2.569 for 4 classifiers, so 1.25 apart in mean rank with 14 data sets."""
    found = ranks(table(14, [0.0, 0.5, 2.0, 0.1]))
    assert found.critical == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), rel=1e-3)
    mean = found.mean.to_numpy()
    apart = np.abs(mean[:, None] - mean) > found.critical
    assert (apart == (found.pairs.to_numpy() < 0.05)).all()
    assert 0 < apart.sum() < 12


def test_one_order_in_every_sweep_is_no_certainty() -> None:
    found = ranks(table(3, [0.0, 100.0, 200.0]))
    assert found.mean.to_list() == [3, 2, 1]
    assert 0 < found.p <= stats.chi2.sf(6, 2)
    assert 0.01 < found.pairs.to_numpy()[0, 2] < 0.05


@pytest.mark.parametrize(
    ("scores", "note"),
    [
        (table(5, [0.0, 1.0]), "fewer than 3 arms"),
        (table(2, [0.0, 1.0, 2.0]), "fewer than 3 sweeps that have all arms"),
        (table(0, [0.0, 1.0, 2.0]), "fewer than 3 sweeps that have all arms"),
        (0 * table(5, [0.0, 1.0, 2.0]), "all arms tied in all sweeps"),
    ],
)
def test_what_cannot_be_said_is_said_in_words(scores: pd.DataFrame, note: str) -> None:
    found = ranks(scores)
    assert found.note == note
    assert math.isnan(found.p)
    assert math.isnan(found.critical)
    assert found.pairs.isna().all(axis=None)


def test_sweeps_that_lack_an_arm_are_left_out_and_named() -> None:
    scores = table(6, [0.0, 1.0, 3.0])
    scores.loc["sweep4", "arm1"] = math.nan
    found = ranks(scores)
    assert (found.n, found.left_out) == (5, ("sweep4",))
    assert found.mean.to_dict() == ranks(scores.drop("sweep4")).mean.to_dict()


def test_wins_ties_and_losses_are_counted_over_sweeps() -> None:
    counted = win_tie_loss([{"a": "better", "b": "worse"}, {"a": "unresolved"}, {"a": "better", "b": "worse"}])
    assert counted.loc["a"].to_dict() == {"win": 2, "tie": 1, "loss": 0}
    assert counted.loc["b"].to_dict() == {"win": 0, "tie": 0, "loss": 2}
    assert win_tie_loss([]).empty
