"""Intervals and verdicts against scipy, statsmodels and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from regtune.statistics import (
    bca_interval,
    compare,
    every_pair,
    mean_interval,
    paired_differences,
    preference,
    share_interval,
)
from regtune.statistics.power import further_seeds

scores = st.lists(st.floats(-1, 1, allow_nan=False).map(lambda v: round(v, 4)), min_size=0, max_size=12)


def test_the_interval_is_scipys() -> None:
    values = [0.91, 0.93, 0.92, 0.95, 0.9]
    ours = mean_interval(values)
    theirs = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs)
    assert ours.n == 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 200).map(lambda right: right / 200), min_size=2, max_size=15))
def test_intervals_of_accuracies_end_within_0_and_100(values: list[float]) -> None:
    ours, plain = share_interval(values), mean_interval(values)
    assert (ours.n, ours.mean, ours.sd) == (plain.n, plain.mean, plain.sd)
    if math.isnan(plain.low):
        assert math.isnan(ours.low)
        assert math.isnan(ours.high)
    else:
        assert 0 <= ours.low <= ours.mean <= ours.high <= 1


@pytest.mark.parametrize("values", [[0.99, 1.0, 1.0], [0.0, 0.005, 0.01], [1.0, 0.6, 1.0], [0.97, 1.0, 0.99, 1.0, 1.0]])
def test_the_interval_of_an_accuracy_is_students_on_the_logit_scale(values: list[float]) -> None:
    """By odds: the ends have the odds of the mean times and over one factor. The t-interval ends beyond 0 or 100."""
    ours, plain = share_interval(values), mean_interval(values)
    assert plain.low < 0 or plain.high > 1
    odds = [p / (1 - p) for p in (ours.low, ours.mean, ours.high)]
    factor = math.exp(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) / (ours.mean * (1 - ours.mean)))
    assert odds[1] / odds[0] == pytest.approx(factor, rel=1e-6)
    assert odds[2] / odds[1] == pytest.approx(factor, rel=1e-6)


def test_far_from_the_ends_it_is_the_t_interval() -> None:
    values = [0.51, 0.53, 0.52, 0.55, 0.5]
    ours, plain = share_interval(values), mean_interval(values)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=1e-4)


@pytest.mark.parametrize(("mean", "seeds"), [(0.9, 5), (0.97, 5), (0.99, 15), (0.97, 15)])
def test_it_covers_better_than_the_t_interval_cut_near_100(mean: float, seeds: int) -> None:
    """2,000 draws each, as in `benchmarks/bounded_intervals.py`, whose spread is how far the mean is from 1."""
    draws = np.random.default_rng(1)
    total = mean * (1 - mean) / (1 - mean) ** 2 - 1
    held = {"cut": 0, "ours": 0}
    values = draws.binomial(200, draws.beta(mean * total, (1 - mean) * total, (2000, seeds))) / 200
    varied = [row.tolist() for row in values if np.ptp(row)]
    for row in varied:
        plain, ours = mean_interval(row), share_interval(row)
        held["cut"] += max(plain.low, 0) <= mean <= min(plain.high, 1)
        held["ours"] += ours.low <= mean <= ours.high
    shares = {name: count / len(varied) for name, count in held.items()}
    assert abs(shares["ours"] - 0.95) < abs(shares["cut"] - 0.95)
    assert shares["ours"] > 0.92


@pytest.mark.parametrize("values", [[], [0.9], [0.9, 0.9, 0.9]])
def test_no_interval_is_given_where_the_data_support_none(values: list[float]) -> None:
    assert math.isnan(mean_interval(values).low)
    assert compare({"a": values})["a"].verdict == "unresolved"
    assert math.isnan(compare({"a": values})["a"].p)


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


seeds_of = st.lists(st.integers(0, 359).map(lambda right: right / 359), min_size=3, max_size=8)


@settings(max_examples=100, deadline=None)
@given(first=seeds_of, second=seeds_of, third=seeds_of, shift=st.floats(-2, 2))
def test_a_constant_added_to_all_arms_changes_nothing_and_swapping_flips(
    first: list[float], second: list[float], third: list[float], shift: float
) -> None:
    scores = {arm: dict(enumerate(values)) for arm, values in {"a": first, "b": second, "c": third}.items()}
    moved = {arm: {seed: v + shift for seed, v in values.items()} for arm, values in scores.items()}
    swapped = dict(reversed(scores.items()))
    before, after, flipped = (compare(every_pair(s)) for s in (scores, moved, swapped))
    opposite = {"better": "worse", "worse": "better", "unresolved": "unresolved"}
    for (one, other), result in before.items():
        same, back = after[one, other], flipped[other, one]
        assert same.verdict == result.verdict
        assert same.p_holm == pytest.approx(result.p_holm, rel=1e-6, nan_ok=True)
        assert (same.low, same.high) == pytest.approx((result.low, result.high), abs=1e-9, nan_ok=True)
        assert back.verdict == opposite[result.verdict]
        assert (back.low, back.high) == pytest.approx((-result.high, -result.low), abs=1e-9, nan_ok=True)


def test_differences_are_over_the_seeds_that_both_finished() -> None:
    scores = {"base": {0: 0.5, 1: 0.6, 3: 0.7}, "a": {3: 0.9, 0: 0.6}, "none": {}}
    assert paired_differences(scores, "base") == {"a": [0.6 - 0.5, 0.9 - 0.7], "none": []}
    assert list(every_pair(scores)) == [("base", "a"), ("base", "none"), ("a", "none")]


@pytest.mark.parametrize(
    ("differences", "note"),
    [
        ([], "fewer than 3 pairs"),
        ([0.1], "fewer than 3 pairs"),
        ([0.1, 0.2], "fewer than 3 pairs"),
        ([0.0, 0.0, 0.0], "identical scores"),
        ([0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6], "all differences are equal"),
    ],
)
def test_what_cannot_be_said_is_said_in_words(differences: list[float], note: str) -> None:
    result = compare({"a": differences})["a"]
    assert (result.verdict, result.note) == ("unresolved", note)
    assert all(math.isnan(value) for value in (result.low, result.high, result.p, result.p_holm, result.further))


def test_bca_is_scipys_and_only_from_20_seeds() -> None:
    values = np.random.default_rng(2).normal(0.9, 0.01, 20)
    ours = bca_interval(values.tolist())
    assert ours.low < ours.mean < ours.high
    assert (ours.low, ours.high) == pytest.approx((mean_interval(values.tolist()).low, ours.high), abs=2e-3)
    assert ours == bca_interval(values.tolist())
    assert math.isnan(bca_interval(values[:19].tolist()).low)
    assert math.isnan(bca_interval([0.5] * 20).low)


def test_an_interval_of_preference_covers_by_enumeration() -> None:
    """Every outcome of 1 to 12 seeds, wins 0 to 1 and ties 0 to 1 in steps of 0.05: coverage at least 95 %."""
    least = 1.0
    for n in range(1, 13):
        outcomes = [(w, t) for w in range(n + 1) for t in range(n + 1 - w)]
        found = [preference([1.0] * w + [0.0] * t + [-1.0] * (n - w - t)) for w, t in outcomes]
        counts = np.array([(w, t, n - w - t) for w, t in outcomes])
        for win, tie in ((a / 20, b / 20) for a in range(21) for b in range(21 - a)):
            chances = stats.multinomial.pmf(counts, n, [win, tie, max(1 - win - tie, 0.0)])
            inside = [f.low - 1e-12 <= win + tie / 2 <= f.high + 1e-12 for f in found]
            least = min(least, float(chances[inside].sum()))
    assert least >= 0.95


def test_preference_without_ties_is_clopper_and_pearsons() -> None:
    ours, theirs = preference([0.1, 0.2, -0.1, 0.3, 0.1]), stats.binomtest(4, 5).proportion_ci()
    assert (ours.share, ours.low, ours.high) == pytest.approx((0.8, theirs.low, theirs.high))
    assert (preference([0.1] * 3).high, preference([-0.1] * 3).low) == (1.0, 0.0)
    assert math.isnan(preference([]).share)


def test_further_seeds_have_the_power_promised_by_simulation() -> None:
    """Differences of mean 0.1 and sd 0.2: 10 + further seeds at level 0.05 / 7 resolve in 80 % of 4,000 draws."""
    more = further_seeds(n=10, mean=-0.1, sd=0.2, alpha=0.05 / 7)
    draws = np.random.default_rng(3).normal(0.1, 0.2, (4000, 10 + int(more)))
    for fewer, (least, most) in {0: (0.78, 0.86), 3: (0.5, 0.80)}.items():
        ps = np.asarray(stats.ttest_1samp(draws[:, : draws.shape[1] - fewer], 0.0, axis=1).pvalue)
        assert least <= np.mean(ps <= 0.05 / 7) <= most


def test_further_seeds_end_at_a_cap_and_need_something_to_go_by() -> None:
    assert compare({"a": [1.0, -1.0, 1.0, -1.001]})["a"].further == math.inf
    assert math.isnan(compare({"a": [1.0, 1.1, 1.0, 0.9]})["a"].further)
    assert compare({"a": [0.1, 0.2, -0.05, 0.1, 0.02]})["a"].further >= 1
