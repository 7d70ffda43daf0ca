"""Verdicts over searches: resampled choices, their variance, and the rivals that are confirmed for it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regtune.analysis.comparison import comparison
from regtune.analysis.families import family, search_variances
from regtune.cli.dry_run import forecast
from regtune.cli.plan import plan_table
from regtune.core.errors import Refused
from regtune.core.halving import Score, Selection, join_number, split_number
from regtune.core.metric import ACCURACY
from regtune.core.records import Json, TrialKey
from regtune.core.resampling import DRAWS, LEAST, MOST, draws, pairs, rivals
from regtune.core.selection import Scored, choose
from regtune.execution.run import RunOptions
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import Results, load
from regtune.results.searches import Searches
from regtune.statistics import compare
from regtune.statistics.search_variance import at_least, mean_known, search_variance
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import write_log
from tests.resuming import assert_same_results, ran, read, rows_of, stopped
from tests.test_repeats import words
from tests.test_select import SELECTED

OVER = SELECTED.replace('scope = "configuration"', 'scope = "searches"')


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("over"), OVER)


@pytest.fixture(scope="module")
def results(finished: Path) -> Results:
    return load(finished)


def scored(accuracies: dict[str, list[list[float]]], seeds: int = 4, off: tuple[str, ...] = ()) -> Scored:
    """Return scores of arms: for each search trial that of search, then those of select."""
    searched, selected = {}, {}
    for arm, trials in accuracies.items():
        ranked = sorted(enumerate(trials), key=lambda each: -each[1][0])
        searched[arm] = [(number, Score(mine[0], 1.0)) for number, mine in ranked]
        selected[arm] = {
            join_number(number, k): Score(mine[1 + k], 1.0) for number, mine in enumerate(trials) for k in range(seeds)
        }
    terms = Selection(candidates=8, most=8, seeds=seeds, examples=None)
    return Scored(searched=searched, selected=selected, selection=terms, can_be_off=off)


def test_a_clear_winner_wins_whenever_its_trial_is_drawn() -> None:
    """A trial is in a bootstrap sample of T with probability 1 - (1 - 1/T)^T."""
    trials = [[0.9] * 5, *([0.1 * k] * 5 for k in range(1, 6))]
    found = draws(scored({"base": trials, "arm": trials}), paired=True, stream="a")
    assert len(found) == DRAWS
    wins = sum(each.numbers["arm"] == 0 for each in found)
    share = 1 - (1 - 1 / 6) ** 6
    assert abs(wins - DRAWS * share) < 4 * math.sqrt(DRAWS * share * (1 - share))
    assert all(each.numbers["arm"] == each.numbers["base"] for each in found), "the same trials are drawn for all"
    assert set(pairs(found, "arm", "base")) == {(n, n) for n in {each.numbers["arm"] for each in found}}


def test_without_pairing_each_arm_draws_by_itself() -> None:
    trials = [[0.9] * 5, *([0.1 * k] * 5 for k in range(1, 6))]
    found = draws(scored({"base": trials, "arm": trials}), paired=False, stream="a")
    both = Counter((each.numbers["base"] == 0, each.numbers["arm"] == 0) for each in found)
    first = sum(n for (base, _), n in both.items() if base) / DRAWS
    second = sum(n for (_, arm), n in both.items() if arm) / DRAWS
    assert abs(both[True, True] / DRAWS - first * second) < 0.12


def test_draws_depend_on_nothing_but_scores_and_name() -> None:
    trials = [[0.5 + 0.01 * ((7 * k + s) % 5) for s in range(5)] for k in range(6)]
    one = scored({"base": trials, "arm": trials[::-1]})
    assert draws(one, paired=True, stream="a") == draws(one, paired=True, stream="a")
    assert draws(one, paired=True, stream="a") != draws(one, paired=True, stream="b")


def test_rivals_are_those_that_win_often_and_never_the_choice() -> None:
    rng = np.random.default_rng(0)
    trials = [[float(x) for x in rng.normal(0.8, 0.02, 5)] for _ in range(8)]
    one = scored({"base": trials, "arm": [[a + 0.001 for a in mine] for mine in trials]})
    found, chosen = draws(one, paired=True, stream="a"), choose(one)
    for arm, mine in rivals(found, chosen).items():
        wins = Counter(each.numbers[arm] for each in found if arm in each.numbers)
        assert chosen.numbers[arm] not in mine
        assert 1 <= len(mine) <= MOST
        assert all(wins[n] >= LEAST * DRAWS for n in mine)
        left = [n for n in wins if n not in mine and n != chosen.numbers[arm]]
        assert max((wins[n] for n in left), default=0) <= min(wins[n] for n in mine) or len(mine) < MOST


def test_an_arm_that_is_off_has_no_rivals_and_draws_say_how_often_it_is() -> None:
    base = [[0.8, 0.80, 0.81, 0.82, 0.80]] * 3
    one = scored({"base": base, "arm": [[0.1, 0.1, 0.12, 0.11, 0.1]] * 3}, off=("arm",))
    chosen = choose(one)
    assert chosen.off == {"arm"}
    found = draws(one, paired=True, stream="a")
    assert set(pairs(found, "arm", "base")) == {None}
    assert set(rivals(found, chosen)) == {"base"}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_the_variance_over_choices_is_recovered_on_average(seed: int, spread: float) -> None:
    """Choices with true means of a known variance, seen on five seeds with noise of their own and of all together."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(300):
        truth = rng.normal(0, spread, 8)
        rows = truth[:, None] + rng.normal(0, 1, (8, 5)) + rng.normal(0, 2, 5)
        weights = np.full(8, 1 / 8)
        means = rows.mean(axis=1)
        own = (rows - weights @ rows).var(axis=1, ddof=1) / 5
        # What is cut at 0 leans upward; the mean before the cut does not, and the function is that, cut.
        raw = float(weights @ ((means - weights @ means) ** 2 - own))
        assert search_variance([1.0] * 8, rows.tolist()) == pytest.approx(max(raw, 0.0))
        found.append(raw)
    # 7/8 of the variance of means over eight choices, as of any sample of eight.
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - 7 / 8 * spread**2) < 5 * error


def test_the_variance_needs_two_seeds_and_a_choice() -> None:
    assert math.isnan(search_variance([1.0], [[0.1]]))
    assert math.isnan(search_variance([], []))
    assert search_variance([3.0], [[0.1, 0.2, 0.3]]) == 0


def test_no_arm_has_less_than_the_mean_of_the_variances_that_are_known() -> None:
    found = {"a": 0.0, "b": 4.0, "c": math.nan}
    assert mean_known(found.values()) == 2.0
    raised = at_least(found, 2.0)
    assert (raised["a"], raised["b"]) == (2.0, 4.0) and math.isnan(raised["c"]), "what is not known stays so"
    assert mean_known([math.nan]) == mean_known([]) == 0.0
    assert at_least({"a": 0.5}, mean_known([0.5])) == {"a": 0.5}, "of one arm it is its own"


def test_verdicts_are_by_no_less_than_the_mean(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"smooth": 1e-8, "ruined": 3e-8}
    monkeypatch.setattr("regtune.analysis.families.search_variances", lambda results, column: known)
    assert family(results, ACCURACY)["smooth"].beyond == pytest.approx(2e-8)
    assert family(results, ACCURACY, least=0.5)["smooth"].beyond == 0.5


def test_a_variance_beyond_widens_the_interval_and_nothing_else() -> None:
    values = [0.01, 0.02, 0.015, 0.03, 0.012]
    plain, wide = compare({"a": values})["a"], compare({"a": values}, beyond={"a": 0.01**2})["a"]
    assert plain == compare({"a": values}, beyond={"a": 0.0})["a"]
    assert (wide.mean, wide.sd, wide.n) == (plain.mean, plain.sd, plain.n)
    sem = plain.sd / math.sqrt(5)
    ratio = (wide.high - wide.mean) / (plain.high - plain.mean)
    assert ratio == pytest.approx(math.sqrt(sem**2 + 0.01**2) / sem)
    assert wide.p > plain.p
    unknown = compare({"a": values}, beyond={"a": math.nan})["a"]
    assert unknown.verdict == "unresolved" and math.isnan(unknown.low) and "not known" in unknown.note


def test_rivals_are_trained_on_the_first_seeds_of_confirm(results: Results, finished: Path) -> None:
    sweep = Sweep.read(finished.parents[1] / "small.toml")
    mine = results.trials[results.trials["phase"] == "rivals"]
    assert len(mine) and set(mine["status"]) == {"ok"}
    needed = rivals(results.draws, results.choices)
    keys = {(row["arm"], *split_number(row["number"])) for row in mine.to_dict("records")}
    assert keys == {(arm, n, k) for arm, numbers in needed.items() for n in numbers for k in range(4)}
    for row in mine.to_dict("records"):
        number, k = split_number(row["number"])
        search = results.trials[(results.trials["arm"] == row["arm"]) & (results.trials["phase"] == "search")]
        assert row["params"] == search[search["number"] == number]["params"].item()
        assert row["seed"] == sweep.confirm_seed(k)
        assert not math.isnan(row["test_accuracy"])
    assert not list((finished.parent / "weights").glob("*rivals*"))


def test_verdicts_have_the_variance_over_searches_in_them(results: Results) -> None:
    more = search_variances(results, "test_accuracy")
    assert more is not None and set(more) == {"smooth"} and more["smooth"] >= 0
    table = comparison(results).set_index("arm")
    scores = results.confirmed.pivot(index="number", columns="arm", values="test_accuracy").astype(float)
    differences = (scores["smooth"] - scores["baseline"]).to_list()
    expected = compare({"smooth": differences, "ruined": [0.0] * 4}, beyond=more)["smooth"]
    assert table.loc["smooth", "difference_high"] == expected.high
    assert table.loc["smooth", "p"] == expected.p
    assert "Intervals and verdicts are over searches" in markdown(tables(results))
    assert table["further"].isna().all() and "further seeds (" not in markdown(tables(results))
    assert table.loc["smooth", "spread_search"] == pytest.approx(math.sqrt(more["smooth"]))
    assert "Search: how much the choices of resampled searches" in markdown(tables(results))


@pytest.mark.parametrize("command", [("table", "--format", "md"), ("report",)], ids=" ".join)
def test_a_command_resamples_the_searches_of_each_metric_once(
    finished: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    counts, beyond = Counter[tuple[int, str, bool]](), Searches.beyond

    def counted(self: Searches, rows: Any, metric: str, arms: Any, *, corrected: bool = True) -> dict[str, float]:
        counts[id(self), metric, corrected] += 1
        return beyond(self, rows, metric, arms, corrected=corrected)

    monkeypatch.setattr(Searches, "beyond", counted)
    assert called(command[0], finished, *command[1:], folder=finished.parent).returncode == 0
    assert {metric for _, metric, _ in counts} == {"test_accuracy", "test_loss", "test_ece"}
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), -1])
def test_a_run_that_is_stopped_among_rivals_ends_as_one_that_was_not(
    finished: Path, tmp_path: Path, which: int
) -> None:
    keys = [TrialKey(*row["cell"]) for row in rows_of(finished, "asked") if row["cell"][1] == "rivals"]
    log = stopped(tmp_path, keys[which], 2, OVER)
    half = load(log)
    assert half.rivals_open
    note = comparison(half).set_index("arm").loc["smooth", "note"]
    assert note == "the spread over searches is not known"
    assert "Rivals are not all trained yet" in markdown(tables(half))
    shown = words(forecast(Sweep.read(tmp_path / "small.toml"), tmp_path, RunOptions()))
    assert "rivals done" in shown
    ran(tmp_path, OVER)
    assert_same_results(log, finished)


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ('sampler = "paired"', 'sampler = "tpe"', "take a sampler that learns from no score, as paired, given tpe"),
        ('pruner = "none"', 'pruner = "asha"', "set search.pruner to cautious, epochs or none, given asha"),
        ("[select]\nseeds = 3", "[select]\nseeds = 1", "set select.seeds to 2 or more, given 1"),
        ("candidates = 2\nmost = 4", "candidates = 1\nmost = 1", "set select.most to 2 or more, given 1"),
        ("trials = 6", "trials = 6\nrepeats = 2", "set search.repeats to 1, given 2, which are over searches"),
        ("seeds = 4", "seeds = 2", "set confirm.seeds to 3 or more, given 2"),
    ],
)
def test_searches_are_refused_where_they_cannot_be_had_and_are_not_the_default_there(
    tmp_path: Path, old: str, new: str, remedy: str
) -> None:
    text = OVER.replace(old, new)
    with pytest.raises(Refused, match=r"confirm\.scope") as refused:
        read(tmp_path, text)
    assert remedy in str(refused.value)
    assert read(tmp_path, text.replace('scope = "searches"', "")).scope == "configuration"


def test_a_plan_has_all_phases_and_says_what_verdicts_are_over(tmp_path: Path) -> None:
    sweep = read(tmp_path, OVER.replace('scope = "searches"', ""))
    assert sweep.scope == "searches"
    shown = words(plan_table(sweep))
    assert all(word in shown for word in ("select", "rivals", "verdicts are over searches"))
    assert sweep.phases == ["search", "select", "confirm", "rivals"]
    assert read(tmp_path, SELECTED).phases == ["search", "select", "confirm"]


def test_seeds_of_select_may_end_in_any_order(finished: Path, tmp_path: Path) -> None:
    """On a cluster the second seed of a candidate may end before its first: a table then waits, and says so."""
    rows, cut = read_log(finished)[0], list[Json]()
    first = next(row["cell"] for row in rows if row["event"] == "asked" and row["cell"][1] == "select")
    for row in rows:
        if row["event"] != "ended" or row["cell"] != first:
            cut.append(row)
        if row["event"] == "ended" and row["cell"][:2] == first[:2] and row["cell"][2] == first[2] + 1:
            break
    write_log(tmp_path / "log.jsonl", cut)
    half = load(tmp_path)
    assert half.choices.is_open and half.rivals_open and half.draws == []
    assert "Rivals are not all trained yet" in markdown(tables(half))
    ragged = Scored(
        searched={"base": [(0, Score(0.9, 1.0))]},
        selected={"base": {join_number(0, 1): Score(0.9, 1.0), join_number(0, 2): Score(0.8, 1.0)}},
        selection=Selection(candidates=2, most=2, seeds=3, examples=None),
        can_be_off=[],
    )
    assert {each.numbers.get("base", 0) for each in draws(ragged, paired=True, stream="a")} == {0}


def test_rivals_that_failed_are_no_reason_to_be_surer(finished: Path, tmp_path: Path) -> None:
    rows = read_log(finished)[0]
    for row in rows:
        if row["event"] == "ended" and row["cell"][1] == "rivals":
            row["outcome"] = {"status": "diverged", "message": "", "kept": 1, "metrics": {}}
    write_log(tmp_path / "log.jsonl", rows)
    broken = load(tmp_path)
    assert not broken.rivals_open
    found = search_variances(broken, "test_accuracy")
    assert found is not None and math.isnan(found["smooth"])
    note = comparison(broken).set_index("arm").loc["smooth", "note"]
    assert note == "the spread over searches is not known"


def test_of_a_single_candidate_no_spread_over_searches_is_claimed(tmp_path: Path) -> None:
    results = load(ran(tmp_path, OVER.replace("trials = 6", "trials = 1")))
    found = search_variances(results, "test_accuracy")
    assert found is not None and all(math.isnan(value) for value in found.values())


def test_the_scope_may_change_and_rivals_are_added(tmp_path: Path) -> None:
    log = ran(tmp_path, SELECTED)
    assert load(log).sweep.confirm.scope == "configuration"
    ran(tmp_path, OVER)
    over = load(log)
    assert over.sweep.confirm.over_searches
    assert not over.rivals_open and (over.trials["phase"] == "rivals").any()
    ran(tmp_path, SELECTED)
    assert search_variances(load(log), "test_accuracy") is None
    assert "Intervals and verdicts are over searches" not in markdown(tables(load(log)))
