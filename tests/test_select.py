"""Paired candidates, the choice on several seeds, and off as a candidate: what each means, and that it resumes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regtune.analysis.comparison import comparison
from regtune.analysis.repeat_scores import repeat_scores
from regtune.cli.dry_run import forecast
from regtune.core.errors import Refused
from regtune.core.halving import Score, Selection, join_number, off_is_as_good, pick, split_number
from regtune.core.records import Trial, TrialKey
from regtune.data import DataLocation
from regtune.execution.repeats import run_all
from regtune.execution.run import RunOptions, run
from regtune.reports.brief import brief
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import Results, load
from regtune.search.search import SearchScheduler
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import build_dataset, split_data
from tests.conftest import small_trial
from tests.resuming import SMALL, assert_same_results, ran, read, rows_of, stopped

SELECTED = (
    SMALL.replace('sampler = "random"', 'sampler = "paired"')
    .replace("trials = 2", "trials = 6")
    .replace("dropout = { dropout = {} }", "ruined = { l2 = { strength = 0.9 } }\nsmooth = { label_smoothing = {} }")
    .replace("seeds = 0", "seeds = 3\ncandidates = 2\nmost = 4")
    .replace("weights = false", "weights = false\n")
    .replace("seeds = 2", 'seeds = 4\nscope = "configuration"')
)
RATE = "optimizer.learning_rate"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("selected"), SELECTED)


@pytest.fixture(scope="module")
def results(finished: Path) -> Results:
    return load(finished)


def by_arm(results: Results) -> dict[str, dict[str, Any]]:
    """Return the rows of the comparison table."""
    rows = comparison(results).to_dict("records")
    return {row["arm"]: {str(name): value for name, value in row.items()} for row in rows}


def points(folder: Path, text: str, trials: int = 16) -> dict[str, list[Mapping[str, object]]]:
    """Return the knobs of the first trials of each arm."""
    scheduler = SearchScheduler(read(folder, text.replace("trials = 6", f"trials = {trials}")))
    asked = [asked for asked in iter(scheduler.ask, None) if asked is not None]
    return {arm: [a.params for a in asked if a.key.arm == arm] for arm in scheduler.arms}


def test_all_arms_share_the_values_of_shared_knobs_and_new_arms_move_none(tmp_path: Path) -> None:
    shared = SELECTED.replace("[arms]", "[base]\nwarm_up = {}\n[arms]")
    found = points(tmp_path, shared)
    for number, first in enumerate(found["baseline"]):
        assert set(first) == {RATE, "warm_up.share"}
        assert all({path: mine[number][path] for path in first} == first for mine in found.values())
    more = points(tmp_path, shared.replace("baseline = {}", "baseline = {}\nnew = { mixup = {}, dropout = {} }"))
    assert {arm: more[arm] for arm in found} == found
    other = points(tmp_path, "seed = 1\n" + shared)
    assert other["baseline"][0] != found["baseline"][0]


def test_every_knob_of_paired_trials_fills_its_range_evenly(tmp_path: Path) -> None:
    """The first 2^k points of a Sobol sequence have one in each of 2^k equal parts of every axis."""
    found, space = points(tmp_path, SELECTED)["smooth"], read(tmp_path, SELECTED).arm("smooth").space
    for path, scale in ((RATE, math.log), ("label_smoothing.eps", float)):
        low, high = (scale(getattr(space[path], end)) for end in ("low", "high"))
        places = [16 * (scale(float(str(params[path]))) - low) / (high - low) for params in found]
        assert sorted(map(int, places)) == list(range(16)), path


SCORES = st.floats(0, 1, allow_nan=False)


@settings(max_examples=200)
@given(data=st.data(), count=st.integers(1, 9), seeds=st.integers(1, 6))
def test_halving_asks_for_whole_rounds_and_keeps_the_better_half(data: st.DataObject, count: int, seeds: int) -> None:
    terms = Selection(candidates=count, most=count, seeds=seeds, examples=None)
    finalists = data.draw(st.permutations(range(count)))
    truth = {join_number(n, k): Score(data.draw(SCORES), 1.0) for n in range(count) for k in range(seeds)}
    scores: dict[int, Score] = {}
    while (found := pick(finalists, scores, terms)).number is None:
        missing = [join_number(*each) for each in found.needed if join_number(*each) not in scores]
        assert missing, "it asks for nothing and chooses nobody"
        scores |= {number: truth[number] for number in missing}
    asked = {n: {k for m, k in found.needed if m == n} for n in finalists}
    # Nobody waits for seeds in the middle, the chosen one has all, and nobody who is better on all of its seeds is out.
    assert all(mine == set(range(len(mine))) for mine in asked.values())
    assert len(asked[found.number]) == seeds
    assert len(found.needed) <= terms.trials

    def mean(n: int, k: int) -> float:
        return sum(truth[join_number(n, j)].value or 0.0 for j in range(k)) / k

    last = [n for n in finalists if len(asked[n]) == seeds]
    assert mean(found.number, seeds) >= max(mean(n, seeds) for n in last) - 1e-9
    out = [n for n in finalists if len(asked[n]) < seeds]
    assert all(mean(n, len(asked[n])) <= max(mean(m, len(asked[n])) for m in last) + 1e-9 for n in out)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_no_arm_takes_more_trials_than_the_plan_says(most: int, fewer: int, seeds: int) -> None:
    terms = Selection(candidates=1, most=most, seeds=seeds, examples=None)
    finalists = range(min(fewer, most))
    scores = {join_number(n, k): Score(0.5, float(n)) for n in finalists for k in range(seeds)}
    assert len(pick(finalists, scores, terms).needed) <= terms.trials


def test_equal_means_are_told_apart_by_loss_whatever_the_order_of_the_seeds() -> None:
    terms = Selection(candidates=2, most=2, seeds=3, examples=None)
    scores = {join_number(0, k): Score(a, 9.0) for k, a in enumerate((0.1, 0.2, 0.3))}
    scores |= {join_number(1, k): Score(a, 1.0) for k, a in enumerate((0.3, 0.2, 0.1))}
    assert pick([0, 1], scores, terms).number == pick([1, 0], scores, terms).number == 1


def test_finalists_are_the_best_and_all_that_are_as_good_within_two_standard_errors() -> None:
    terms = Selection(candidates=2, most=4, seeds=3, examples=100)
    searched = [(n, Score(a, 1.0)) for n, a in ((7, 0.9), (3, 0.89), (1, 0.85), (0, 0.845), (5, 0.841), (2, 0.7))]
    assert terms.finalists(searched) == [7, 3, 1, 0]  # two standard errors of 0.9 over 100 are 0.06; four at most
    assert dataclasses.replace(terms, examples=10_000).finalists(searched) == [7, 3]
    assert terms.finalists(searched[:1]) == [7]
    assert terms.finalists([]) == []


def test_a_trial_that_fails_by_itself_counts_as_the_worst() -> None:
    terms = Selection(candidates=2, most=2, seeds=2, examples=None)
    good, bad = Score(0.5, 1.0), Score(0.0, None)
    scores = {
        join_number(0, 0): bad,
        join_number(0, 1): Score(0.9, 1.0),
        join_number(1, 0): good,
        join_number(1, 1): good,
    }
    assert pick([0, 1], scores, terms).number == 1


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=8))
def test_off_is_the_one_standard_error_rule_of_the_paired_differences(pairs: list[tuple[float, float]]) -> None:
    own, first = [Score(a, None) for a, _ in pairs], [Score(b, None) for _, b in pairs]
    gains = [b - a for a, b in pairs]
    if max(gains) - min(gains) < 1e-6:
        return
    t = float(stats.ttest_rel([b for _, b in pairs], [a for a, _ in pairs]).statistic)
    if abs(t - 1) > 1e-9:
        assert off_is_as_good(own, first) == (t > 1)


def test_the_choice_is_the_best_mean_on_seeds_that_all_arms_share(results: Results, finished: Path) -> None:
    sweep, trials = Sweep.read(finished.parents[1] / "small.toml"), results.trials
    selected = trials[trials["phase"] == "select"]
    assert set(selected["status"]) == {"ok"}
    seeds = {int(row["number"]) % 100: row["seed"] for row in selected.to_dict("records")}
    assert seeds == {k: sweep.select_seed(k) for k in range(3)}
    other = set(trials[trials["phase"] != "select"]["seed"].dropna())
    assert not set(seeds.values()) & other
    for arm in results.sweep.arms:
        mine = selected[selected["arm"] == arm]
        whole = mine.groupby(mine["number"].map(lambda n: split_number(n)[0]))["val_accuracy"].agg(["mean", "size"])
        whole = whole[whole["size"] == 3]
        assert whole.loc[results.choices.numbers[arm], "mean"] >= whole["mean"].max() - 1e-9
    for row in trials[(trials["phase"] == "confirm") & (trials["status"] == "ok")].to_dict("records"):
        assert row["params"] == results.chosen[row["arm"]]


def test_no_trial_of_select_opens_the_test_split(results: Results) -> None:
    selected = results.trials[results.trials["phase"] == "select"]
    assert selected["test_accuracy"].isna().all()
    kinds = {row["phase"] for key, row in results.plain_trials.items() if key.phase == "select"}
    assert kinds == {"search"}


def test_an_arm_that_is_as_good_off_is_the_baseline_and_says_so(results: Results) -> None:
    assert results.off == {"ruined"}
    assert "ruined" not in results.chosen
    mine = results.trials[(results.trials["arm"] == "ruined") & (results.trials["phase"] == "confirm")]
    assert set(mine["status"]) == {"unneeded"}
    table = by_arm(results)
    ruined, baseline = table["ruined"], table["baseline"]
    assert (ruined["verdict"], ruined["difference"], ruined["note"]) == ("off is as good", 0, "")
    assert math.isnan(ruined["difference_low"])
    assert ruined["test_accuracy"] == baseline["test_accuracy"]
    assert ruined["test_loss_verdict"] == "off is as good"
    # It counts among the comparisons all the same: the other arm's interval is that of two.
    smooth, n = table["smooth"], int(table["smooth"]["pairs"])
    scores = results.confirmed.pivot(index="number", columns="arm", values="test_accuracy").astype(float)
    differences = (scores["smooth"] - scores["baseline"]).to_numpy()
    half = stats.t.ppf(1 - 0.05 / 2 / 2, n - 1) * differences.std(ddof=1) / math.sqrt(n)
    assert smooth["difference_high"] - smooth["difference"] == pytest.approx(half) or smooth["difference_high"] == 0
    text = markdown(tables(results))
    assert "| ruined" in text and "off is as good" in text
    assert "Off is as good: ruined. There the baseline's choice was better in select" in text
    assert not any("ruined" in sentence for sentence in tables(results).scores.sentences)
    assert "unequal budgets" not in text
    assert "Off is as good, by select: ruined." in brief([results.path], 10_000).splitlines()


def test_a_method_that_is_off_is_the_baseline_bit_for_bit(finished: Path, tmp_path: Path) -> None:
    """What makes off free: with its neutral setting a paired trial has the curves of the baseline's."""
    text = SELECTED.replace("strength = 0.9", "strength = 0.0")
    same = load(ran(tmp_path, text)).epochs
    mine, first = (same[(same["arm"] == arm) & (same["phase"] == "search")] for arm in ("ruined", "baseline"))
    for name in ("val_loss", "train_loss", "objective"):
        assert mine[name].to_list() == first[name].to_list()


@pytest.mark.parametrize(
    ("which", "number"),
    [("first", 3), ("last", 1), *(pytest.param(*case, marks=pytest.mark.slow) for case in [("first", 1), ("last", 3)])],
)
def test_a_run_that_is_stopped_in_select_ends_as_one_that_was_not(
    finished: Path, tmp_path: Path, which: str, number: int
) -> None:
    keys = [TrialKey(*row["cell"]) for row in rows_of(finished, "asked") if row["cell"][1] == "select"]
    log = stopped(tmp_path, keys[0 if which == "first" else -1], number, SELECTED)
    assert load(log).choices.is_open
    forecast(Sweep.read(tmp_path / "small.toml"), tmp_path, RunOptions())
    ran(tmp_path, SELECTED)
    assert_same_results(log, finished)


def test_more_trials_end_as_the_bigger_sweep_from_the_beginning(finished: Path, tmp_path: Path) -> None:
    bigger = SELECTED.replace("trials = 6", "trials = 9")
    for name in ("once", "whole"):
        (tmp_path / name).mkdir()
    ran(tmp_path / "once", SELECTED)
    log = ran(tmp_path / "once", bigger)
    whole = ran(tmp_path / "whole", bigger)
    extended, begun = load(log), load(whole)
    assert extended.chosen == begun.chosen and extended.off == begun.off
    keys = ["arm", "phase", "number"]
    confirm = [r.trials[r.trials["phase"] == "confirm"].set_index(keys)["test_loss"] for r in (extended, begun)]
    assert confirm[0].to_dict() == pytest.approx(confirm[1].to_dict(), nan_ok=True, abs=0)


def test_off_is_only_where_draws_are_paired_the_baseline_is_plain_and_the_file_allows_it(tmp_path: Path) -> None:
    def off(text: str) -> list[str]:
        sweep = read(tmp_path, text)
        return [arm.name for arm in sweep.arms if sweep.can_be_off(arm)]

    assert off(SELECTED) == ["ruined", "smooth"]
    assert off(SELECTED.replace('"paired"', '"qmc"')) == []
    assert off(SELECTED.replace("seeds = 3", "seeds = 1")) == []
    assert off(SELECTED.replace("baseline = {}", "baseline = { mixup = {} }")) == []
    assert off(SELECTED.replace("strength = 0.9 }", "strength = 0.9 }, off = false")) == ["smooth"]
    assert off(SELECTED.replace("[arms]", "[base]\nmixup = {}\n[arms]")) == ["ruined", "smooth"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("most = 4", "most = 1", "select.most: expected at least select.candidates, 2, given 1"),
        ("strength = 0.9 }", "strength = 0.9 }, off = 1", "arms.ruined.off: expected true or false"),
        ("trials = 6", "trials = 9998", "search.trials: expected at most 9997 trials an arm"),
        ("candidates = 2", "candidate = 2", "select.candidate: unknown setting"),
        ("weights = false", 'splits = "fresh"', "select.seeds: expected 0 with confirm.splits = 'fresh'"),
    ],
)
def test_what_cannot_be_selected_is_refused_in_a_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SELECTED
    with pytest.raises(Refused, match=words.replace(".", r"\.")) as refused:
        ran(tmp_path, SELECTED.replace(old, new))
    assert "\n" not in str(refused.value)


def test_a_race_leaves_out_an_arm_that_is_off(tmp_path: Path) -> None:
    text = SELECTED.replace("seeds = 4", "seeds = 5\nracing = true\nfirst = 3")
    results = load(ran(tmp_path, text))
    table = by_arm(results)
    assert table["ruined"]["verdict"] == "off is as good"
    assert table["smooth"]["pairs"] >= 3


def test_over_whole_searches_an_arm_that_is_always_off_says_so(tmp_path: Path) -> None:
    text = SELECTED.replace("trials = 6", "trials = 4\nrepeats = 3")
    whole = [load(log) for log in run_all(read(tmp_path, text), tmp_path, RunOptions(in_process=True))]
    table = repeat_scores(whole)
    assert table is not None
    ruined = table.set_index("arm").loc["ruined"]
    assert ruined["pairs"] == 3
    assert ruined["difference"] == 0
    assert (ruined["verdict"] == "off is as good") == all("ruined" in results.off for results in whole)


def test_the_curse_of_the_winner_is_reported_before_and_after(results: Results) -> None:
    table = by_arm(results)
    trials = results.trials[results.trials["arm"] == "smooth"]
    searched = trials[trials["phase"] == "search"]["val_accuracy"].max()
    chosen = trials[(trials["phase"] == "select") & (trials["number"] // 100 == results.choices.numbers["smooth"])]
    confirmed = trials[trials["phase"] == "confirm"]["val_accuracy"].mean()
    row = table["smooth"]
    assert row["searched"] == searched
    assert row["optimism_validation"] == pytest.approx(searched - confirmed)
    assert row["optimism_selected"] == pytest.approx(chosen["val_accuracy"].mean() - confirmed)
    assert math.isnan(table["ruined"]["optimism_selected"])
    assert json.dumps(results.header["sweep"]["select"]) == json.dumps({"candidates": 2, "most": 4, "seeds": 3})


DIGITS = {"name": "digits", "train": 100, "validation": 90, "test": 1000}


def on_split(seed: int, noise: float = 0.0) -> Trial:
    return small_trial(data=DIGITS | {"split_seed": seed, "label_noise": noise})


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.0, 0.3]))
def test_splits_of_a_sealed_pool_are_those_of_the_whole_one_without_test(seed: int, noise: float) -> None:
    trial = on_split(seed, noise)
    data = build_dataset(trial)
    pool = data.pool(DataLocation.from_environment())
    sealed = data.sealed(pool)
    assert sealed.test is None and len(sealed.train) == len(pool.train)
    whole, blind = split_data(trial, pool), split_data(trial, sealed)
    assert blind.test is None
    for mine, theirs in ((blind.train, whole.train), (blind.validation, whole.validation)):
        assert torch.equal(mine.labels, theirs.labels)
        assert torch.equal(mine.source[mine.index], theirs.source[theirs.index])


def test_the_test_part_of_digits_is_fixed_and_zero_is_what_the_others_leave() -> None:
    parts = [
        split_data(on_split(seed), build_dataset(on_split(seed)).pool(DataLocation.from_environment()))
        for seed in (0, 5)
    ]
    first, second = (part.test for part in parts)
    assert first is not None and second is not None
    assert len(first) == 1000 and torch.equal(first.index, second.index)
    assert not torch.equal(parts[0].train.index, parts[1].train.index)
    assert not set(first.index.tolist()) & set(parts[0].train.index.tolist() + parts[0].validation.index.tolist())
    rest = small_trial(data=DIGITS | {"test": 0})
    left = split_data(rest, build_dataset(rest).pool(DataLocation.from_environment())).test
    assert left is not None and len(left) == 1797 - 190


def test_select_with_fresh_splits_trains_each_seed_on_its_own_split(tmp_path: Path) -> None:
    text = SELECTED.replace("weights = false", 'weights = false\nsplits = "fresh"')
    begin, end = text.index("[data]"), text.index("[network]")
    text = text[:begin] + '[data]\nname = "digits"\ntrain = 60\nvalidation = 60\ntest = 1000\n' + text[end:]
    log = run(read(tmp_path, text.replace("trials = 6", "trials = 2")), tmp_path, in_process=True)
    trials = [
        Trial.from_plain(r["trial"]) for r in read_log(log)[0] if r["event"] == "asked" and r["cell"][1] != "search"
    ]
    assert trials and all(trial.data["split_seed"] == trial.seed for trial in trials)
    assert {row["status"] for row in load(log).trials.to_dict("records")} <= {"ok", "unneeded"}
