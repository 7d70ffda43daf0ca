"""Verdicts on likelihood and calibration: each a family of its own, lower is better, against scipy and Holm by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regtune.analysis.families import family, other_metrics
from regtune.analysis.metrics import metrics
from regtune.analysis.repeat_scores import repeat_scores
from regtune.core.metric import ACCURACY, ECE, NLL
from regtune.reports.figures.catalog import drawn
from regtune.reports.output import formatted
from regtune.reports.page.report import page
from regtune.reports.tables.answer import answer
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables
from regtune.reports.tables.metrics import metrics_as_text
from regtune.reports.tables.repeats import repeats_as_text, repeats_caption, repeats_sentences
from regtune.results.loader import Results, load
from regtune.statistics import compare
from regtune.statistics.comparisons import compare_with
from regtune.statistics.racing import Race
from regtune.storage.layout import repeats_of
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.made_up import made_up_log, with_terms

ARMS = ("base", "calm", "sure", "none")
SEEDS = 8
Values = Mapping[str, Sequence[float | None]]


def drawn_scores(
    seed: int, shifts: Mapping[str, float], mean: float, sd: float, n: int = SEEDS
) -> dict[str, list[float]]:
    """Return scores by arm, with what all arms share of a seed, and what an arm adds on average."""
    draws = np.random.default_rng(seed)
    shared = sd * draws.standard_normal(n)
    return {arm: (mean + shift + shared + sd * draws.standard_normal(n)).tolist() for arm, shift in shifts.items()}


ACCURACIES = drawn_scores(1, dict.fromkeys(ARMS, 0.0), 0.9, 0.01)
LOSSES = drawn_scores(2, {"base": 0.0, "calm": -0.1, "sure": 0.1, "none": 0.0}, 0.4, 0.02)
ECES = drawn_scores(3, {"base": 0.0, "calm": -0.013, "sure": 0.09, "none": 0.001}, 0.05, 0.003)


def log(folder: Path, n: int = SEEDS, **changed: Values) -> Path:
    """Write a log of these arms with `test_loss` and `test_ece`, or those given."""
    measured: dict[str, Values] = {"test_loss": LOSSES, "test_ece": ECES} | changed
    accuracies = measured.pop("test_accuracy", ACCURACIES)
    return made_up_log(folder, {arm: values[:n] for arm, values in accuracies.items()}, metrics=measured)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values as he has them: the smallest p times all, the next times all but one, ..."""
    adjusted, so_far = {}, 0.0
    for rank, arm in enumerate(sorted(ps, key=lambda arm: ps[arm])):
        so_far = adjusted[arm] = max(so_far, min(1.0, (len(ps) - rank) * ps[arm]))
    return adjusted


def by_hand(values: Values, seeds: Sequence[int] = range(SEEDS)) -> pd.DataFrame:
    """Return what scipy's paired t-test says of each arm over these seeds, lower is better."""
    scores = {arm: np.array([values[arm][seed] for seed in seeds], dtype=float) for arm in ARMS}
    tests = {arm: stats.ttest_rel(scores[arm], scores["base"]) for arm in ARMS[1:]}
    adjusted = holm({arm: float(test.pvalue) for arm, test in tests.items()})
    rows = []
    for arm, test in tests.items():
        mean = float((scores[arm] - scores["base"]).mean())
        ends = test.confidence_interval(1 - 0.05 / len(tests))
        verdict = ("better" if mean < 0 else "worse") if adjusted[arm] <= 0.05 else "unresolved"
        rows.append(
            {"difference": mean, "low": ends.low, "high": ends.high, "p": test.pvalue}
            | {"p_holm": adjusted[arm], "verdict": verdict}
        )
    return pd.DataFrame(rows, index=pd.Index(ARMS[1:]))


def agree(frame: pd.DataFrame, name: str, expected: pd.DataFrame) -> None:
    """Hold the columns of a metric against those by hand."""
    for column in ("difference", "p", "p_holm"):
        assert frame[f"{name}_{column}"][list(expected.index)].to_list() == pytest.approx(expected[column].to_list())
    for arm, row in expected.iterrows():
        low, high = row["low"], row["high"]
        if row["verdict"] != "unresolved":  # Holm may resolve what Bonferroni does not
            low, high = (low, min(high, 0)) if row["difference"] < 0 else (max(low, 0), high)
        found = frame.loc[[arm], [f"{name}_difference_low", f"{name}_difference_high"]].to_numpy().tolist()
        assert found == [pytest.approx([low, high])]
    assert frame[f"{name}_verdict"].to_list() == ["", *expected["verdict"]]


def test_each_metric_is_scipys_paired_t_test_with_holm_over_its_arms_alone(tmp_path: Path) -> None:
    results = load(log(tmp_path))
    frame = metrics(results).set_index("arm")
    losses, eces = by_hand(LOSSES), by_hand(ECES)
    agree(frame, "test_loss", losses)
    agree(frame, "test_ece", eces)
    assert losses["verdict"].to_list() == eces["verdict"].to_list() == ["better", "worse", "unresolved"]
    for name in ("test_loss", "test_ece"):
        assert frame[f"{name}_pairs"].to_list() == [0, SEEDS, SEEDS, SEEDS]
        assert frame[f"{name}_n"].to_list() == [SEEDS] * 4
        assert frame[f"{name}_note"].eq("").all()
    assert frame.loc["calm", "test_ece_difference_sd"] == pytest.approx(
        np.subtract(ECES["calm"], ECES["base"]).std(ddof=1)
    )
    assert tables(results).rows["verdict"].to_list() == ["", *["unresolved"] * 3], "accuracy has its own"


def test_a_family_does_not_know_of_the_others(tmp_path: Path) -> None:
    """Whatever ECE is, NLL and accuracy are told the same."""
    first = load(log(tmp_path / "a"))
    other = load(log(tmp_path / "b", test_ece=drawn_scores(9, dict.fromkeys(ARMS, 0.0), 0.3, 0.1)))
    assert family(first, NLL) == family(other, NLL)
    assert family(first, ACCURACY) == family(other, ACCURACY)
    assert family(first, ECE) != family(other, ECE)


seeds_of = st.lists(st.integers(0, 500).map(lambda k: k / 250), min_size=0, max_size=8)


@settings(max_examples=150, deadline=None)
@given(base=seeds_of, first=seeds_of, second=seeds_of)
def test_lower_is_better_is_higher_is_better_of_what_is_turned_round(
    base: list[float], first: list[float], second: list[float]
) -> None:
    scores = {arm: dict(enumerate(values)) for arm, values in {"base": base, "a": first, "b": second}.items()}
    turned = {arm: {seed: -value for seed, value in values.items()} for arm, values in scores.items()}
    lower, higher = compare_with(scores, "base", better="lower"), compare_with(turned, "base", better="higher")
    for arm, found in lower.items():
        assert (found.verdict, found.n, found.note) == (higher[arm].verdict, higher[arm].n, higher[arm].note)
        assert found.p_holm == pytest.approx(higher[arm].p_holm, nan_ok=True)
        assert found.better.share == pytest.approx(higher[arm].better.share, nan_ok=True)
        assert (found.mean, found.low) == pytest.approx((-higher[arm].mean, -higher[arm].high), nan_ok=True)
        assert found.high == pytest.approx(-higher[arm].low, nan_ok=True)
        assert (found.verdict == "better") == (found.high <= 0 and found.p_holm <= 0.05)
        assert (found.verdict == "worse") == (found.low >= 0 and found.p_holm <= 0.05)
        assert math.copysign(1, found.high) == 1 or found.high != 0, "-0 would print as a number below 0"


def test_of_accuracies_more_is_better() -> None:
    scores = {arm: {seed: float(v or 0) for seed, v in enumerate(values)} for arm, values in ECES.items()}
    gains = {arm: [scores[arm][k] - scores["base"][k] for k in range(SEEDS)] for arm in ARMS[1:]}
    assert compare_with(scores, "base", better="higher") == compare(gains)


def test_any_false_verdict_in_a_family_is_held_at_five_percent_and_not_over_families() -> None:
    """500 sweeps of 7 arms, equal in both metrics, which are independent: at most 5 % and its binomial limit (three
    standard errors, 7.9 %) in each; over both it is nearly twice that, which is what the caption says."""
    draws, false = np.random.default_rng(11), np.zeros((500, 2), dtype=bool)
    for sweep in range(500):
        for metric in range(2):
            arms = draws.standard_normal((8, 15))
            scores = {str(k): dict(enumerate(values)) for k, values in enumerate(arms.tolist())}
            found = compare_with(scores, "0", better="lower").values()
            false[sweep, metric] = any(one.verdict != "unresolved" for one in found)
    each = false.mean(axis=0)
    assert ((each > 0) & (each <= 0.079)).all()
    assert false.any(axis=1).mean() > each.max()


def test_a_pair_without_the_number_is_left_out_and_said(tmp_path: Path) -> None:
    """Seed 1 of calm diverged; seed 2 of base and seed 0 of none have no ECE, as of an older version or infinite."""
    eces: dict[str, list[float | None]] = {arm: [*values] for arm, values in ECES.items()}
    eces["base"][2] = eces["none"][0] = None
    folder = log(tmp_path, test_ece=eces)
    rows, _ = read_log(folder / "log.jsonl")
    for row in rows:
        if row["event"] == "ended" and row["cell"] == ["calm", "confirm", 1]:
            row["outcome"] |= {"status": "diverged", "metrics": {}}
    write_log(folder / "log.jsonl", [{k: v for k, v in row.items() if k != "crc"} for row in rows])
    results = load(folder)
    frame = metrics(results).set_index("arm")
    assert frame["test_loss_pairs"].to_list() == [0, 7, 8, 8]
    assert frame["test_ece_pairs"].to_list() == [0, 6, 7, 6]
    assert frame["test_ece_n"].to_list() == [7, 7, 8, 7]
    for arm, left_out in (("calm", {1, 2}), ("sure", {2}), ("none", {0, 2})):
        seeds = [seed for seed in range(SEEDS) if seed not in left_out]
        test = stats.ttest_rel([ECES[arm][k] for k in seeds], [ECES["base"][k] for k in seeds])
        assert frame.loc[arm, "test_ece_p"] == pytest.approx(test.pvalue)
    found = tables(results).metrics
    assert found.sentences == [
        "Confirmed trials that ended well without a finite test ECE in the log: base 1, none 1. "
        "Its means and differences leave out their seeds."
    ]
    assert [cell.partition(" over ")[2] for cell in found.frame["NLL difference"]] == ["", "7 seeds", "", ""]
    assert [cell.partition(" over ")[2] for cell in found.frame["ECE difference"]] == [
        "",
        "6 seeds",
        "7 seeds",
        "6 seeds",
    ]
    assert found.sentences[0] in unescape(page(folder_tables([results]), drawn(tables(results))))


def test_what_was_never_measured_has_no_columns_no_words_and_no_verdict(tmp_path: Path) -> None:
    """As in a log of before there was ECE."""
    results = load(log(tmp_path, test_ece=dict.fromkeys(ARMS, [None] * SEEDS)))
    found = tables(results)
    assert "ECE difference" not in found.metrics.frame and "NLL difference" in found.metrics.frame
    assert "ECE difference" not in found.metrics.caption and "NLL difference" in found.metrics.caption
    assert not found.metrics.sentences
    assert set(found.rows["test_ece_verdict"]) == {"", "unresolved"}
    assert "Calibration" not in " ".join(answer(found.rows))
    neither = tables(load(made_up_log(tmp_path / "b", {"base": [0.5, 0.6], "other": [0.6, 0.7]})))
    assert "a family of its own" not in neither.metrics.caption


def test_what_cannot_be_said_of_a_metric_is_said(tmp_path: Path) -> None:
    tied = {arm: [0.4 + 0.01 * seed for seed in range(SEEDS)] for arm in ARMS}
    results = load(log(tmp_path / "tied", test_loss={**tied, "sure": LOSSES["sure"]}))
    assert tables(results).metrics.sentences == ["No interval or verdict on NLL: calm, none (identical scores)."]
    assert tables(results).metrics.frame["NLL difference"][1] == "+0.000 no interval"
    few = tables(load(log(tmp_path / "few", n=2)))
    assert few.metrics.sentences == [
        f"No interval or verdict on {name}: calm, sure, none (fewer than 3 pairs)." for name in ("NLL", "ECE")
    ]
    assert few.rows[["test_loss_difference_low", "test_ece_p"]].isna().all(axis=None)
    assert len(answer(few.rows)) == 3


def test_the_answer_names_families_with_verdicts_only(tmp_path: Path) -> None:
    rows = tables(load(log(tmp_path / "a"))).rows
    assert answer(rows)[3:] == [
        "Likelihood (NLL), this configuration: better calm; worse sure. "
        "Calibration (ECE), this configuration: better calm; worse sure."
    ]
    level = drawn_scores(5, dict.fromkeys(ARMS, 0.0), 0.4, 0.02)
    one = {**level, "sure": ECES["sure"]}
    assert answer(tables(load(log(tmp_path / "b", test_loss=level))).rows)[3:] == [
        "Calibration (ECE), this configuration: better calm; worse sure."
    ]
    assert answer(tables(load(log(tmp_path / "c", test_loss=level, test_ece=one))).rows)[3:] == [
        "Calibration (ECE), this configuration: better sure."
    ]
    assert len(answer(tables(load(log(tmp_path / "d", test_loss=level, test_ece=level))).rows)) == 3


def test_text_says_difference_interval_and_verdict_in_every_format(tmp_path: Path) -> None:
    folder = log(tmp_path)
    frame = metrics(load(folder)).set_index("arm")
    text = metrics_as_text(frame.reset_index()).set_index("arm")
    heads = [*text]
    assert heads[heads.index("test NLL") : heads.index("test ECE %") + 2] == [
        "test NLL", "NLL difference", "test ECE %", "ECE difference",
    ]  # fmt: skip
    for head, name, factor, form in (("NLL", "test_loss", 1, "+.3f"), ("ECE", "test_ece", 100, "+.2f")):
        cells = dict(zip(text.index, text[f"{head} difference"], strict=True))
        assert cells["base"] == ""
        expected = by_hand({"test_loss": LOSSES, "test_ece": ECES}[name])
        for arm, row in expected.iterrows():
            mean, low, high = (format(factor * row[end], form) for end in ("difference", "low", "high"))
            assert cells[arm] == f"{mean} [{low}, {high}] {row['verdict']}"
        assert cells["calm"] in page(folder_tables([load(folder)]), [])
    words = (
        "Each metric is a family of its own, as accuracy is (any false rejection: 5 % in each, not over all together)"
    )
    for form in ("md", "html", "latex"):
        assert words.replace("%", r"\%" if form == "latex" else "%") in formatted([folder], form)
    (sweep,) = json.loads(formatted([folder], "json"), parse_constant=pytest.fail)["sweeps"]
    assert [arm["test_ece_verdict"] for arm in sweep["arms"]] == ["", "better", "worse", "unresolved"]
    assert sweep["arms"][0]["test_loss_difference"] is None
    assert {"test_loss_p_holm", "test_ece_difference_low"} <= set(formatted([folder], "csv").splitlines()[0].split(","))


def raced(folder: Path, losses: Values = LOSSES) -> Results:
    """Return a log whose confirm is a race from 4 seeds on, in which calm and sure had these alone."""
    short = {arm: [*ACCURACIES[arm][:4], None, None, None, None] for arm in ("calm", "sure")}
    results = load(log(folder, test_accuracy={**ACCURACIES, **short}, test_loss=losses))
    return with_terms(results, racing=True, first=4, seeds=SEEDS)


def test_a_race_is_of_other_metrics_what_its_first_seeds_say(tmp_path: Path) -> None:
    """Which arms have the later ones hangs on accuracy, so they have no say."""
    results = raced(tmp_path / "a")
    frame = metrics(results).set_index("arm")
    agree(frame, "test_loss", by_hand(LOSSES, range(4)))
    agree(frame, "test_ece", by_hand(ECES, range(4)))
    assert frame["test_loss_n"].to_list() == [8, 4, 4, 8], "means are over all seeds"
    later: Values = {arm: [*values[:4], *[9.0] * 4] for arm, values in LOSSES.items()}
    assert family(raced(tmp_path / "b", later), NLL) == family(results, NLL)
    found = tables(results).metrics
    assert "continue; these are of its first 4 seeds alone, which all arms have." in found.caption
    assert found.frame["NLL difference"][1].endswith(" over 4 seeds")
    assert "A race" not in tables(load(log(tmp_path / "c"))).metrics.caption


def test_in_a_race_the_first_seeds_are_held_at_five_percent_where_all_seeds_are_not() -> None:
    """500 races of 2 arms that differ by nothing, the loss being minus the accuracy: the worst that can hang together
    with it. Over the first seeds any false verdict has 5 %, over whatever the race had it has more."""
    draws, race, first, all_of_them = np.random.default_rng(12), Race(first=5, most=40), 0, 0
    for _ in range(500):
        scores = {arm: dict(enumerate(draws.standard_normal(race.most).tolist())) for arm in ("base", "arm")}
        counts, ended = {"base": race.looks[0], "arm": race.looks[0]}, dict[str, dict[int, float | None] | None]()
        while ended == {} or counts != {arm: len(mine or {}) for arm, mine in ended.items()}:
            ended = {arm: {k: v for k, v in scores[arm].items() if k < counts[arm]} for arm in scores}
            counts = race.seeds(ended)
        losses = {arm: {k: -scores[arm][k] for k in mine or {}} for arm, mine in ended.items()}
        looked = {arm: {k: v for k, v in mine.items() if k < race.looks[0]} for arm, mine in losses.items()}
        first += compare_with(looked, "base", better="lower")["arm"].verdict != "unresolved"
        all_of_them += compare_with(losses, "base", better="lower")["arm"].verdict != "unresolved"
    assert 0 < first / 500 <= 0.079
    assert all_of_them > first


def repeated(folder: Path, repeats: int, **terms: Any) -> list[Results]:
    """Return repeats of a sweep, whose metrics differ from repeat to repeat."""
    for repeat in range(1, repeats + 1):
        scores = {
            name: drawn_scores(10 * repeat + place, {arm: shifts[arm] for arm in ARMS}, mean, sd)
            for place, (name, shifts, mean, sd) in enumerate(
                (
                    ("test_loss", {"base": 0.0, "calm": -0.1, "sure": 0.1, "none": 0.0}, 0.4, 0.02),
                    ("test_ece", {"base": 0.0, "calm": 0.0, "sure": 0.09, "none": 0.001}, 0.05, 0.003),
                )
            )
        }
        to = folder if repeat == 1 else folder / f"repeat-{repeat}"
        made_up_log(to, ACCURACIES, search=("ok",), repeat=repeat, metrics=scores)
    return [with_terms(load(path), **terms) for path in repeats_of(folder)]


def means_of(results: Sequence[Results], name: str, seeds: int) -> dict[str, list[float]]:
    """Return the means over the first seeds, by arm and repeat, straight from the trials."""
    trials = pd.concat([one.trials.assign(repeat=one.repeat) for one in results])
    mine = trials[(trials["phase"] == "confirm") & (trials["number"] < seeds)]
    table = mine.pivot_table(index="repeat", columns="arm", values=name)
    return {arm: table[arm].to_list() for arm in ARMS}


@pytest.mark.parametrize(("terms", "seeds"), [({}, SEEDS), ({"racing": True, "first": 3}, 3)])
def test_over_whole_searches_each_metric_is_paired_over_repeats(
    tmp_path: Path, terms: dict[str, object], seeds: int
) -> None:
    results = repeated(tmp_path, 5, **terms)
    frame = repeat_scores(results)
    assert frame is not None
    for metric in other_metrics(ACCURACY):
        means = means_of(results, metric.test, seeds)
        agree(frame.set_index("arm"), metric.test, by_hand(means, range(5)))
        assert frame[metric.test].to_list() == pytest.approx([np.mean(means[arm]) for arm in ARMS])
        assert frame[f"{metric.test}_sd"].to_list() == pytest.approx([np.std(means[arm], ddof=1) for arm in ARMS])
        assert frame[f"{metric.test}_n"].to_list() == [5] * 4
    assert frame["test_loss_verdict"].to_list() == ["", "better", "worse", "unresolved"]
    text = repeats_as_text(frame)
    assert text["NLL difference"][1].endswith("] better")
    assert text["ECE difference"][2].endswith("] worse")
    assert [*text][-1] == "knobs chosen"
    caption = repeats_caption(results)
    assert "paired over the repeats that have the number in both arms" in caption
    assert ("these and their means are of its first 3 seeds alone" in caption) == bool(terms)


def test_a_repeat_that_lacks_a_metric_is_named(tmp_path: Path) -> None:
    repeated(tmp_path, 4)
    made_up_log(tmp_path / "repeat-2", ACCURACIES, search=("ok",), repeat=2, metrics={"test_loss": LOSSES})
    results = [load(path) for path in repeats_of(tmp_path)]
    frame = repeat_scores(results)
    assert frame is not None
    assert frame["test_ece_pairs"].to_list() == [0, 3, 3, 3]
    assert frame["test_loss_pairs"].to_list() == [0, 4, 4, 4]
    said = [sentence for sentence in repeats_sentences(results, frame) if "ECE" in sentence]
    assert said == [
        "Repeat 2: Confirmed trials that ended well without a finite test ECE in the log: base 8, calm 8, sure 8, "
        "none 8. Its means and differences leave out their seeds."
    ]
    assert "over 3 repeats" not in repeats_as_text(frame)["ECE difference"][1], "all arms have as many"
    bare = [load(made_up_log(tmp_path / "bare", {"base": [0.5]}, search=("ok",)))] * 2
    assert "family of its own" not in repeats_caption(bare)
