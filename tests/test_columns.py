"""What stands in the columns of the tables, against the functions and the arithmetic that it should come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from regtune.analysis.budget import budget, budget_by_phase
from regtune.analysis.comparison import comparison
from regtune.analysis.metrics import metrics
from regtune.analysis.scores import scores
from regtune.analysis.spread import spread
from regtune.analysis.tuning import tuning
from regtune.analysis.verdicts import verdicts
from regtune.core.records import Json
from regtune.execution.run import run
from regtune.reports.tables.budget import budget_as_text
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.metrics import metrics_as_text
from regtune.reports.tables.pruning import pruning_table
from regtune.reports.tables.scores import scores_as_text
from regtune.results.loader import Results, load
from regtune.statistics.crossed_bootstrap import crossed_intervals
from regtune.statistics.power import further_seeds
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import ASHA, write_log
from tests.made_up import made_up_log, with_terms

BASE = (0.50, 0.52, 0.49, 0.53, 0.51)
SURE = (0.53, 0.55, 0.51, 0.56, 0.54)  # 2 or 3 points above on every seed
NEAR = (0.51, 0.50, 0.50, 0.55, 0.50)


def made_up(folder: Path, **arms: Sequence[float | None]) -> Results:
    return load(made_up_log(folder, arms, examples=100))


def test_a_difference_comes_with_what_the_statistics_say_of_it(tmp_path: Path) -> None:
    results = made_up(tmp_path, base=BASE, sure=SURE, near=NEAR)
    frame = comparison(results).set_index("arm")
    assert frame.loc["sure", "verdict"] == "better"
    assert frame["better"][["sure", "near"]].to_list() == [1.0, 3 / 5]
    assert frame.loc["sure", "better_low"] == pytest.approx(0.025 ** (1 / 5))  # all of n: Clopper-Pearson's closed form
    assert frame["further"].isna()["sure"]
    gains = np.subtract(NEAR, BASE)
    further: float = further_seeds(n=5, mean=gains.mean(), sd=gains.std(ddof=1), alpha=0.05 / 2)
    assert frame["further"]["near"] == pytest.approx(further)
    text = scores_as_text(frame.reset_index()).set_index("arm")
    assert text.loc["near", "verdict"] == ("unresolved (over 1,000)" if further == math.inf else
                                           f"unresolved (+{further:.0f})")  # fmt: skip
    assert text.loc["sure", "better in %"] == "100 [48, 100]"
    assert (text.loc["base", ["difference", "better in %", "verdict"]] == "").all()
    assert frame["note"].eq("").all()


def test_the_second_interval_draws_the_examples_that_were_right(tmp_path: Path) -> None:
    results = made_up(tmp_path, base=BASE, sure=SURE, near=(0.51, None, 0.50, 0.55, None))
    frame = comparison(results).set_index("arm")
    base = results.right_answers["base"]
    for arm in ("sure", "near"):
        mine = results.right_answers[arm]
        pair = (mine.to_numpy().T, base[mine.columns].to_numpy().T)
        (found,) = crossed_intervals([pair], level=1 - 0.05 / 2)
        assert (frame.loc[arm, ["crossed_low", "crossed_high"]] == [found.low, found.high]).all()
        assert found.mean == pytest.approx(frame.loc[arm, "difference"])


def test_the_second_interval_is_over_the_seeds_of_the_first(tmp_path: Path) -> None:
    """As where only the newer trials of an extended sweep say which examples were right."""
    folder = made_up_log(tmp_path, {"base": BASE, "near": NEAR}, examples=100)
    rows, _ = read_log(folder / "log.jsonl")
    del next(row for row in rows if row["event"] == "ended" and row["cell"] == ["near", "confirm", 0])["outcome"][
        "test_right"
    ]
    write_log(folder / "log.jsonl", rows)
    assert comparison(load(folder))["crossed_low"].isna().all()


def test_a_verdict_that_leans_on_the_test_set_is_told(tmp_path: Path) -> None:
    """3 points on every seed, but each arm has examples that it always gets right: another hundred may differ."""
    arms = {"base": BASE, "sure": SURE}
    words = "sure: resolved on this test set only"
    leaning = load(made_up_log(tmp_path / "a", arms, examples=100, stubborn=True))
    assert any(words in line for line in tables(leaning).scores.sentences)
    assert not tables(made_up(tmp_path / "b", **arms)).scores.sentences
    far = {"base": BASE, "sure": tuple(score + 0.4 for score in SURE)}
    assert not tables(load(made_up_log(tmp_path / "d", far, examples=100, stubborn=True))).scores.sentences
    without = load(made_up_log(tmp_path / "c", {"base": BASE, "sure": SURE}))  # a log that says of no example
    assert not tables(without).scores.sentences
    assert "test set resampled" not in tables(without).scores.frame
    assert "Test set resampled" not in tables(without).scores.caption


def test_a_race_has_no_second_interval_and_cannot_be_made_longer(tmp_path: Path) -> None:
    folder = made_up_log(tmp_path, {"base": BASE, "near": NEAR, "late": (0.5, 0.5, None, 0.5, 0.5)}, examples=100)
    rows, _ = read_log(folder / "log.jsonl")
    for row in rows:
        if row["event"] == "header":
            row["sweep"]["confirm"] |= {"racing": True, "first": 3, "seeds": 5}
    write_log(folder / "log.jsonl", rows)
    found = tables(load(folder))
    frame = found.rows.set_index("arm")
    assert frame[["crossed_low", "further"]].isna().all(axis=None)
    assert (frame["pairs"] == 0)["near"]
    assert "near, late: the race has not reached its first look with it and base (3 seeds each), so no difference." in (
        found.scores.sentences
    )
    assert found.scores.frame["better in %"].to_list() == ["", "–", "–"]
    assert "those of accuracy and of better in % are not" in found.scores.caption
    assert "resampled" not in found.scores.caption
    assert "further seeds" not in found.scores.caption


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "(on the same split), in points. It shows what choosing the best of many adds"),
        ({"confirm": {"splits": "fresh"}}, "(each on its own split)"),
        ({"search": {"pruner": "epochs", "stop_after": 2}}, "validation accuracy in search after 2 epochs, by which"),
        (
            {"confirm": {"retrain": "updates"}},
            "at the end of the second training, in which train includes the validation",
        ),
    ],
)
def test_the_caption_of_metrics_is_that_of_the_sweep(tmp_path: Path, terms: dict[str, Json], words: str) -> None:
    results = made_up(tmp_path, base=BASE, sure=SURE)
    for part, changes in terms.items():
        results = with_terms(results, part, **changes)
    assert words in tables(results).metrics.caption


def test_bootstrap_intervals_stand_beside_the_others_from_20_seeds_on(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    some, many = (tuple(draws.normal(0.5, 0.01, n).tolist()) for n in (19, 20))
    frame = comparison(load(made_up_log(tmp_path, {"some": some, "many": many}))).set_index("arm")
    assert frame["test_accuracy_bca_low"].isna()["some"]
    assert frame.loc["many", "test_accuracy_bca_low"] == pytest.approx(frame.loc["many", "test_accuracy_low"], abs=2e-3)
    assert frame.loc["many", "test_accuracy_sd"] == pytest.approx(np.std(many, ddof=1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("columns")
    text = ASHA.replace("mixup = { mixup = {} }", "early_stopping = { early_stopping = { patience = 1 } }")
    text = text.replace("population = 1", "population = 1\ncontrol = 0.5").replace(
        "batch = 16", "batch = 16\ntightness = true"
    )
    (folder / "small.toml").write_text(text)
    return load(run(Sweep.read(folder / "small.toml"), folder, in_process=True))


def test_metrics_are_means_over_the_confirmed_trials(trained: Results) -> None:
    frame, trials = metrics(trained).set_index("arm"), trained.trials
    for arm in trained.sweep.arms:
        mine = trials[(trials["arm"] == arm) & (trials["phase"] == "confirm")]
        names = ("test_loss", "test_ece", "train_accuracy", "gap", "weight_norm", "zero_share", "distance", "train_nc1")
        for name in (*names, "val_cdnv", "test_accuracy_last"):
            values = mine[name].to_numpy(dtype=float)
            assert np.isfinite(values).all()
            assert frame.loc[arm, name] == pytest.approx(values.mean())
            assert frame.loc[arm, f"{name}_sd"] == pytest.approx(values.std(ddof=1))
        assert frame.loc[arm, "kept_epoch"] == mine["kept"].mean()
        assert frame.loc[arm, "optimism_validation"] == pytest.approx(
            frame["searched"][arm] - mine["val_accuracy"].mean()
        )
    text = metrics_as_text(frame.reset_index()).set_index("arm")
    loss, sd = frame.loc["dropout", ["test_loss", "test_loss_sd"]]
    assert text.loc["dropout", "test NLL"] == f"{loss:.3f} ± {sd:.3f}"
    assert {"train NC1", "validation CDNV"} <= set(text)
    assert "NC1" in tables(trained).metrics.caption


def test_columns_in_which_nothing_stands_are_left_out(tmp_path: Path) -> None:
    results = made_up(tmp_path, base=BASE, sure=SURE)
    assert {*tables(results).metrics.frame} == {"arm", "kept epoch", "searched %", "optimism"}
    assert "NC1" not in tables(results).metrics.caption
    assert not {"missing", "GPU seconds"} & {*tables(results).budget.frame}


def test_the_budget_has_both_phases(trained: Results) -> None:
    phases = budget_by_phase(trained)
    frame, told = budget(trained, phases).set_index("arm"), phases.set_index(["arm", "phase"])
    text = budget_as_text(frame.reset_index()).set_index("arm")
    for arm in trained.sweep.arms:
        for phase in ("search", "confirm"):
            for name in ("planned_trials", "planned_epochs", "epochs", "examples", "gradients", "seconds"):
                assert frame[f"{phase}_{name}"][arm] == told[name][arm, phase]
        both = f"{told['epochs'][arm, 'search']:,} + {told['epochs'][arm, 'confirm']:,}"
        assert text.loc[arm, "epochs"] == both
    assert text.loc["baseline", "planned epochs"] == "24 + 18"


def test_one_row_has_everything(trained: Results) -> None:
    frame = comparison(trained)
    assert frame["arm"].to_list() == [*trained.sweep.arms]
    seeds, spent = scores(trained, verdicts(trained)), budget(trained, budget_by_phase(trained))
    parts = (seeds, metrics(trained), spent, tuning(trained), spread([trained]))
    assert {name for part in parts for name in part} == {*frame}


def test_what_pruning_cost(trained: Results, tmp_path: Path) -> None:
    table = pruning_table(trained)
    assert table is not None
    assert [*table.frame] == ["arm", "epoch 2", "control", "spared", "better", "best lost %"]
    assert "fair sample" in table.caption
    assert " / " in table.frame["epoch 2"].iloc[0]
    rows, _ = read_log(trained.path / "log.jsonl")
    for row in rows:
        if row["event"] == "header":
            row["sweep"]["search"] |= {"control": 0.0}
    write_log(tmp_path / "without" / "log.jsonl", rows)
    without = pruning_table(load(tmp_path / "without"))
    assert without is not None
    assert [*without.frame] == ["arm", "epoch 2"]
    assert "only be told with a control share" in without.caption
    for row in rows:
        if row["event"] == "header":
            row["sweep"]["search"] |= {"pruner": "none"}
    write_log(tmp_path / "none" / "log.jsonl", rows)
    assert pruning_table(load(tmp_path / "none")) is None


def test_a_control_share_is_in_the_caption(trained: Results) -> None:
    assert (
        "pruned against its own trials only. A control share of 50 % of the trials is never pruned"
        in tables(trained).scores.caption
    )


def test_unequal_budgets_are_told_under_the_budget(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": BASE, "sure": SURE}, search=("ok", "failed", "failed")))
    (first, second) = tables(results).budget.sentences
    assert first == "2 of the 8 trials of base failed, so it had less than its budget."
    assert "sure" in second
