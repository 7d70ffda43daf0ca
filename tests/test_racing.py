"""Racing: who gets seeds next, what is said in the end, and that looking often does not cheat."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regtune.statistics import compare
from regtune.statistics.racing import FAR, Beyond, Race
from regtune.statistics.search_variance import search_variance

Full = dict[str, dict[int, float | None]]


def drawn(seed: int, gaps: dict[str, float], most: int, sd: float = 0.13) -> Full:
    draws = np.random.default_rng(seed)
    return {arm: dict(enumerate((gap + sd * draws.standard_normal(most)).tolist())) for arm, gap in gaps.items()}


def run(race: Race, full: Full, beyond: Beyond = None) -> Full:
    """Race to the end: hand out what is asked for until nothing more is."""
    ended: Full = {arm: {} for arm in full}
    while True:
        asked = {arm: {n: full[arm][n] for n in range(count)} for arm, count in race.seeds(ended, beyond).items()}
        if asked == ended:
            return ended
        ended = asked


def test_looks_grow_and_spend_the_error_once() -> None:
    assert Race(first=5, most=40).looks == (5, 7, 10, 14, 20, 28, 40)
    assert Race(first=5, most=10).looks == (5, 7, 10)
    assert Race(first=5, most=5).looks == Race(first=9, most=5).looks == (5,)
    for first, most in ((3, 100), (5, 10), (2, 10_000)):
        race = Race(first=first, most=most)
        assert race.looks[-1] == most
        assert list(race.looks) == sorted(set(race.looks))
        assert sum(race.shares) == pytest.approx(1)


def test_seeds_go_to_what_is_not_resolved() -> None:
    full = drawn(1, {"base": 0.0, "far": 2.0, "near": 0.05, "twin": 0.0}, 20)
    ended = run(Race(first=5, most=20), full)
    assert len(ended["far"]) < 10
    assert {arm: len(ended[arm]) for arm in ("base", "near", "twin")} == {"base": 20, "near": 20, "twin": 20}
    results = Race(first=5, most=20).compare(ended)
    assert (results["far"].verdict, results["twin"].verdict) == ("better", "unresolved")
    assert results["far"].n == len(ended["far"])


def test_all_resolved_is_the_end() -> None:
    ended = run(Race(first=5, most=100), drawn(2, {"base": 0.0, "up": 2.0, "down": -2.0}, 100))
    assert {len(scores) for scores in ended.values()} <= {5, 7, 10, 14}
    verdicts = {arm: result.verdict for arm, result in Race(first=5, most=100).compare(ended).items()}
    assert verdicts == {"up": "better", "down": "worse"}


def test_one_look_is_no_race() -> None:
    full = drawn(3, {"base": 0.0, "a": 0.1, "b": 0.5}, 8)
    ours = Race(first=8, most=8).compare(full)
    theirs = compare({arm: [full[arm][n] - full["base"][n] for n in range(8)] for arm in ("a", "b")})  # type: ignore[operator]  # all have scores here
    assert ours == theirs


def test_the_sequential_p_is_the_least_p_over_its_share_and_the_interval_that_of_the_newest_look() -> None:
    race, full = Race(first=5, most=10), drawn(4, {"base": 0.0, "a": 0.03}, 10)
    values = np.array([full["a"][n] - full["base"][n] for n in range(10)])  # type: ignore[operator]  # all have scores here
    by_look = [stats.ttest_1samp(values[:n], 0.0).pvalue / w for n, w in zip((5, 7, 10), (0.5, 0.2, 0.3), strict=True)]
    signs = [np.sign(values[:n].mean()) for n in (5, 7, 10)]
    result = race.compare(full)["a"]
    assert result.p == pytest.approx(min(1, *(p for p, s in zip(by_look, signs, strict=True) if s == signs[-1])))
    assert result.low == pytest.approx(values.mean() - stats.t.ppf(1 - 0.05 * 0.3 / 2, 9) * stats.sem(values))


accuracy = st.one_of(st.none(), st.integers(352, 359).map(lambda right: right / 359))


over = st.one_of(st.none(), st.lists(st.sampled_from([0.0, 1e-7, 1e-6, 1e-5, math.nan]), min_size=3, max_size=3))


@settings(max_examples=100, deadline=None)
@given(
    table=st.lists(st.lists(accuracy, min_size=12, max_size=12), min_size=2, max_size=4),
    variances=over,
    order=st.randoms(use_true_random=False),  # in which trials end
)
def test_decisions_are_a_function_of_what_ended_and_never_taken_back(
    table: list[list[float | None]], variances: list[float] | None, order: random.Random
) -> None:
    """Trials end one by one in any order: what is asked for grows, ends where it ends, and agrees with intervals."""
    race = Race(first=3, most=12)
    full = {f"arm{k}": dict(enumerate(scores)) for k, scores in enumerate(table)}
    beyond = None if variances is None else {f"arm{k + 1}": each for k, each in enumerate(variances)}
    ended: Full = {arm: {} for arm in full}
    asked = race.seeds(ended, beyond)
    while open_ := [(arm, n) for arm, count in asked.items() for n in range(count) if n not in ended[arm]]:
        arm, number = order.choice(open_)
        ended[arm][number] = full[arm][number]
        now = race.seeds(ended, beyond)
        assert all(now[arm] >= asked[arm] for arm in now)
        asked = now
    assert ended == run(race, full, beyond)
    # By their words: what is not a number is equal to none, itself included.
    assert repr(race.compare(ended, beyond)) == repr(race.compare(full, beyond)), (
        "scores that were not asked for do not count"
    )
    held = race.held(ended, beyond)
    assert held == race.held(full, beyond)
    assert not held or beyond is not None
    for arm, result in race.compare(ended, beyond).items():
        assert arm not in held or result.verdict == "unresolved"
        assert (result.verdict == "better") == (result.low >= 0 and result.p_holm <= 0.05)
        assert (result.verdict == "worse") == (result.high <= 0 and result.p_holm <= 0.05)
        if result.verdict == "unresolved" and not math.isnan(result.low):
            assert result.low <= 0 <= result.high


def test_arms_without_scores_stop_nobody() -> None:
    race = Race(first=3, most=6)
    failed: dict[int, float | None] = dict.fromkeys(range(6))
    fine = dict[int, float | None](enumerate([0.9, 0.91, 0.92, 0.9, 0.93, 0.9]))
    assert race.seeds({"base": fine, "failed": failed}) == {"base": 6, "failed": 6}
    assert race.compare({"base": fine, "failed": failed})["failed"].note == "fewer than 3 pairs"
    assert race.seeds({"base": None, "a": fine}) == {"a": 3}
    assert race.seeds({"base": fine, "a": None}) == {"base": 3}
    assert race.compare({"base": fine, "a": None})["a"].verdict == "unresolved"
    assert race.seeds({"base": fine}) == {"base": 3}
    assert race.compare({"base": fine}) == {}


def test_an_arm_that_is_not_confirmed_counts_among_the_comparisons() -> None:
    full = drawn(5, {"base": 0.0, "a": 0.3}, 6)
    race = Race(first=6, most=6)
    alone, beside = race.compare(full)["a"], race.compare({**full, "none": None})["a"]
    assert beside.p == alone.p
    assert beside.p_holm == pytest.approx(2 * alone.p_holm)


def test_over_searches_every_look_has_the_same_variance_in_it() -> None:
    race, full, over = Race(first=5, most=10), drawn(6, {"base": 0.0, "a": 0.3}, 10), {"a": 0.003}
    values = np.array([full["a"][n] - full["base"][n] for n in range(10)])  # type: ignore[operator]  # all have scores here
    by_look = []
    for n, share in zip((5, 7, 10), (0.5, 0.2, 0.3), strict=True):
        t = values[:n].mean() / math.sqrt(values[:n].var(ddof=1) / n + 0.003)
        by_look.append(2 * stats.t.sf(abs(t), n - 1) / share)
    assert race.held(full, over) == []
    seen = min(n for n, p in zip((5, 7, 10), by_look, strict=True) if p <= 0.05)
    result = race.compare(full, over)["a"]
    assert (result.n, result.verdict, result.beyond) == (seen, "better", 0.003)
    assert result.p == pytest.approx(min(by_look[: (5, 7, 10).index(seen) + 1]))
    share = dict(zip((5, 7, 10), (0.5, 0.2, 0.3), strict=True))[seen]
    error = math.sqrt(stats.sem(values[:seen]) ** 2 + 0.003)
    half = stats.t.ppf(1 - 0.05 * share / 2, seen - 1) * error
    assert result.high == pytest.approx(values[:seen].mean() + half)
    assert race.compare(full)["a"].p < result.p


def test_one_look_over_searches_is_no_race() -> None:
    full, over = drawn(3, {"base": 0.0, "a": 0.1, "b": 0.5}, 8), {"a": 0.001, "b": 0.02}
    theirs = {arm: [full[arm][n] - full["base"][n] for n in range(8)] for arm in ("a", "b")}  # type: ignore[operator]  # all have scores here
    assert Race(first=8, most=8).compare(full, over) == compare(theirs, beyond=over)


def test_without_a_variance_a_race_over_searches_is_that_over_configurations() -> None:
    full = drawn(1, {"base": 0.0, "far": 2.0, "near": 0.05, "twin": 0.0}, 20)
    race, none = Race(first=5, most=20), {"far": 0.0, "near": 0.0, "twin": 0.0}
    assert (race.seeds(full, none), race.compare(full, none)) == (race.seeds(full), race.compare(full))
    assert race.held(full, none) == []


def test_what_no_number_of_seeds_would_resolve_gets_no_more() -> None:
    """The least variance that holds a pair, against the formula: reach of the mean over the widest quantile ahead."""
    race, full = Race(first=5, most=10), drawn(7, {"base": 0.0, "a": 0.1}, 10)
    values = np.array([full["a"][n] - full["base"][n] for n in range(5)])  # type: ignore[operator]  # all have scores here
    out = stats.t.ppf(1 - FAR, 4) * values.std(ddof=1)
    most = max(
        ((abs(values.mean()) + out * math.sqrt(1 / 5 - 1 / n)) / stats.t.ppf(1 - 0.05 * share / 2, n - 1)) ** 2
        for n, share in ((7, 0.2), (10, 0.3))
    )
    assert race.seeds(full, {"a": 0.999 * most})["a"] > 5
    assert race.seeds(full, {"a": 1.001 * most}) == {"base": 5, "a": 5}
    assert race.held(full, {"a": 1.001 * most}) == ["a"]


def test_an_arm_that_is_held_makes_it_harder_for_the_rest_and_one_without_a_variance_is_held() -> None:
    race = Race(first=5, most=20)
    full = drawn(8, {"base": 0.0, "a": 0.2, "b": 0.0, "c": 0.0}, 20)
    alone = {arm: full[arm] for arm in ("base", "a")}
    tight = max(v for v in np.geomspace(1e-5, 1, 400) if race.seeds(alone, {"a": v})["a"] > 5)
    assert race.seeds(full, {"a": tight, "b": 0.0, "c": 0.0})["a"] > 5
    stuck = {"a": tight, "b": math.nan, "c": math.nan}
    assert set(race.held(full, stuck)) == {"a", "b", "c"}
    assert race.seeds(full, stuck) == dict.fromkeys(full, 5)
    assert race.compare(full, stuck)["b"].note == "the spread over searches is not known"


def test_equal_arms_whose_searches_have_luck_seldom_get_a_verdict() -> None:
    """Each arm's choice is one of four configurations that differ by half of what a seed's scores do."""
    draws, sweeps, arms, false = np.random.default_rng(0), 120, 4, 0
    race = Race(first=5, most=20)
    for _ in range(sweeps):
        scores = 0.5 * draws.standard_normal((arms, 4, 1)) + draws.standard_normal((arms, 4, 20))
        ended: Full = {f"arm{k}": dict(enumerate(mine[0].tolist())) for k, mine in enumerate(scores)}
        pairs = scores[1:, :, None, :5] - scores[0, None, :, :5]
        over = {
            f"arm{k + 1}": search_variance([1.0] * 16, mine.reshape(16, 5).tolist(), corrected=False)
            for k, mine in enumerate(pairs)
        }
        false += any(found.verdict != "unresolved" for found in race.compare(ended, over).values())
    assert false <= stats.binom.ppf(0.999, sweeps, 0.05)
