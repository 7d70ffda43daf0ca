"""Intervals and verdicts against scipy, statsmodels and simulation."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from regtune.statistics import compare, mean_interval


@pytest.fixture(autouse=True, scope="module")
def no_collections() -> Iterator[None]:
    """statsmodels collects garbage in every call, 50 ms and more in a process with pytest in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)
        yield


scores = st.lists(st.floats(-1, 1, allow_nan=False).map(lambda v: round(v, 4)), min_size=0, max_size=12)


def test_the_interval_is_scipys() -> None:
    values = [0.91, 0.93, 0.92, 0.95, 0.9]
    ours = mean_interval(values)
    theirs = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs)
    assert ours.n == 5


@pytest.mark.parametrize("values", [[], [0.9], [0.9, 0.9, 0.9]])
def test_no_interval_is_given_where_the_data_support_none(values: list[float]) -> None:
    assert math.isnan(mean_interval(values).low)
    assert compare({"a": values})["a"].verdict == "unresolved"
    assert compare({"a": values})["a"].p == 1.0


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), scores, min_size=1))
def test_verdict_and_interval_always_agree(differences: dict[str, list[float]]) -> None:
    for name, result in compare(differences).items():
        assert (result.verdict == "better") == (result.low >= 0 and result.p_holm <= 0.05)
        assert (result.verdict == "worse") == (result.high <= 0 and result.p_holm <= 0.05)
        if result.verdict == "unresolved" and not math.isnan(result.low):
            assert result.low <= 0 <= result.high
        if len(differences[name]) < 3:
            assert result.verdict == "unresolved"
            assert math.isnan(result.low)


def test_verdicts_are_holms_on_paired_t_tests() -> None:
    draws = np.random.default_rng(1)
    differences = {str(k): (0.004 * k + 0.01 * draws.standard_normal(15)).tolist() for k in range(6)}
    ps = [stats.ttest_rel(values, np.zeros(15)).pvalue for values in differences.values()]
    rejected, adjusted, *_ = multipletests(ps, alpha=0.05, method="holm")
    results = list(compare(differences).values())
    assert [r.p_holm for r in results] == pytest.approx(adjusted)
    assert [r.verdict != "unresolved" for r in results] == list(rejected)
    assert 0 < sum(rejected) < 6


def test_an_interval_is_cut_at_zero_where_holm_alone_resolves() -> None:
    """Two clear effects leave level 0.05 for the third, whose Bonferroni interval crosses 0."""
    clear = [1.0, 1.1, 0.9, 1.05, 0.95]
    weak = [0.1, 0.9, 0.3, 0.75, 0.2]
    result = compare({"a": clear, "b": [-v for v in clear], "c": weak})["c"]
    half = stats.t.ppf(1 - 0.05 / 6, 4) * stats.sem(weak)
    assert np.mean(weak) - half < 0
    assert result.low == 0.0
    assert result.verdict == "better"
    assert result.high == pytest.approx(np.mean(weak) + half)


def test_one_null_among_large_effects_is_rejected_no_more_often() -> None:
    """The partial null, where Holm spends its whole level on what is left: 1,000 families, as below."""
    draws, false, missed = np.random.default_rng(8), 0, 0
    shifts = np.array([0.0] * 2 + [5.0] * 6)
    for _ in range(1000):
        arms = draws.standard_normal((8, 15)) + shifts[:, None]
        results = compare({str(k): (arms[k] - arms[0]).tolist() for k in range(1, 8)})
        false += results["1"].verdict != "unresolved"
        missed += any(not r.low <= shifts[int(k)] <= r.high for k, r in results.items())
    assert 0 < false / 1000 <= 0.071
    assert missed / 1000 <= 0.1 + 0.029, "intervals and verdicts together: the union bound and its binomial limit"


def test_family_wise_error_and_coverage_under_the_null() -> None:
    """1,000 null families of 7 comparisons with one baseline: false verdicts at most 5 % and its
    binomial limit (three standard errors: 7.1 %), the same for simultaneous coverage."""
    draws, false, missed = np.random.default_rng(7), 0, 0
    for _ in range(1000):
        arms = draws.standard_normal((8, 15))
        results = compare({str(k): (arms[k] - arms[0]).tolist() for k in range(1, 8)}).values()
        false += any(r.verdict != "unresolved" for r in results)
        missed += any(r.low > 0 or r.high < 0 for r in results)
    assert 0 < false / 1000 <= 0.071
    assert missed / 1000 <= 0.071
