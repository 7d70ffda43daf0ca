"""The budget against numbers made by hand: a sweep of 48 training examples in batches of 16, 3 updates an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regtune.analysis.budget import budget, budget_by_phase, optimism, warnings
from regtune.core.header import SweepRecord
from regtune.execution.run import run
from regtune.reports.tables.budget import budget_as_text, budget_caption
from regtune.reports.tables.caption import caption, source_words
from regtune.results.loader import Results, load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP, write_log


def finished(folder: Path, *changes: tuple[str, str]) -> Results:
    text = SWEEP.replace("population = 1", 'pruner = "none"')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "small.toml").write_text(text)
    return load(run(Sweep.read(folder / "small.toml"), folder, in_process=True))


def again_of(results: Results, arm: str) -> list[Any]:
    """Return the rows of a confirm trial of an arm, as if it were trained again."""
    rows, _ = read_log(results.path / "log.jsonl")
    return [row for row in rows if row.get("cell") == [arm, "confirm", 1]]


def rows_of(results: Results) -> dict[tuple[str, str], dict[Any, Any]]:
    return {(row["arm"], row["phase"]): row for row in budget_by_phase(results).to_dict("records")}


def test_planned_and_consumed(tmp_path: Path) -> None:
    results = finished(tmp_path, ("mixup = { mixup = {} }", "sam = { sam = {} }"))
    rows = rows_of(results)
    for arm, gradients in (("baseline", 1), ("dropout", 1), ("sam", 2)):
        for phase, trials in (("search", 4), ("confirm", 3)):
            row = rows[arm, phase]
            assert (row["planned_trials"], row["planned_epochs"], row["bad"]) == (trials, trials * 6, 0)
            assert row["epochs"] == trials * 6
            assert row["examples"] == trials * 6 * 48
            assert row["gradients"] == trials * 6 * 3 * gradients
            mine = results.trials[(results.trials["arm"] == arm) & (results.trials["phase"] == phase)]
            assert row["seconds"] == pytest.approx(mine["seconds"].sum())
    assert {row["gpu_seconds"] for row in rows.values()} == {0.0}
    assert warnings(results, budget_by_phase(results)) == []


def test_a_pretraining_that_trials_share_is_counted_once(tmp_path: Path) -> None:
    """Of 48 pictures in batches of 16, four turns of each, for 2 epochs; a trial that was trained again shares it."""
    arm = "turned = { rotation_pretraining = { epochs = 2, batch = 16 } }"
    results = finished(tmp_path, ("mixup = { mixup = {} }", arm))
    rows, first = rows_of(results), results.epochs[results.epochs["epoch"] == 1]
    mine = first[first["arm"] == "turned"]
    for phase, trials in (("search", 4), ("confirm", 3)):
        keys = mine[mine["phase"] == phase].drop_duplicates("pretrained")
        assert len(mine[mine["phase"] == phase]) == trials
        assert rows["turned", phase]["pretraining_examples"] == len(keys) * 2 * 48 * 4
        assert rows["turned", phase]["pretraining_seconds"] == pytest.approx(keys["pretraining_seconds"].sum())
        assert rows["dropout", phase]["pretraining_examples"] == 0
    write_log(tmp_path / "log.jsonl", [*read_log(results.path / "log.jsonl")[0], *again_of(results, "turned")])
    twice = rows_of(load(tmp_path))
    assert twice["turned", "confirm"]["epochs"] == 4 * 6
    assert twice["turned", "confirm"]["pretraining_examples"] == rows["turned", "confirm"]["pretraining_examples"]
    frame = budget(results, budget_by_phase(results))
    assert "pretraining seconds" in budget_as_text(frame)
    assert "each counted once" in budget_caption(results)
    assert "Pretrained without labels on all pictures" in caption(results)
    assert "another data set" not in caption(results)
    rest = results.sweep.arms.keys() - {"turned"}
    without = budget_by_phase(results)
    without = without[without["arm"].isin(rest)]
    assert not any("pretraining" in str(name) for name in budget_as_text(budget(results, without)))


def test_a_caption_names_arms_that_see_pictures_without_labels_at_each_update(tmp_path: Path) -> None:
    data = ('name = "synthetic"\ntrain = 48\nvalidation = 32\ntest = 37\nnoise = 0.6', DIGITS)
    arm = 's4l = { rotation_prediction = { pictures = "all" } }\nbeside = { rotation_prediction = {} }'
    results = finished(tmp_path, data, ("mixup = { mixup = {} }", arm))
    assert "which alone the examples of the budget count, as many pictures without labels, drawn" in caption(results)
    assert "Beside the 16 examples of each update" in caption(results)
    assert "in no split: s4l." in caption(results)
    assert "Pretrained" not in caption(results)
    rows = rows_of(results)
    assert rows["s4l", "confirm"]["examples"] == rows["beside", "confirm"]["examples"]
    assert set(results.trials["status"]) == {"ok"}


DIGITS = 'name = "digits"\ntrain = 48\nvalidation = 32\ntest = 1500'


def test_a_caption_names_the_data_sets_that_arms_learned_first(tmp_path: Path) -> None:
    results = finished(tmp_path, ("mixup = { mixup = {} }", "moved = { transfer = { epochs = 1, freeze = 1 } }"))
    assert "Pretrained on the labelled examples of another data set: moved (digits)." in caption(results)
    assert rows_of(results)["moved", "confirm"]["pretraining_examples"] == 3 * 1700


def test_a_caption_names_the_source_of_an_arm_whose_epochs_are_searched(tmp_path: Path) -> None:
    arms = "moved = { transfer = {} }\nany = { transfer = { source = ['mnist', 'digits'] } }"
    text = SWEEP.replace("mixup = { mixup = {} }", arms)
    (tmp_path / "small.toml").write_text(text)
    said = source_words(SweepRecord.of(Sweep.read(tmp_path / "small.toml").plain()))
    assert said == "Pretrained on the labelled examples of another data set: moved (digits), any (searched)."


def test_work_that_no_longer_counts_was_consumed(tmp_path: Path) -> None:
    results = finished(tmp_path)
    rows, _ = read_log(results.path / "log.jsonl")
    write_log(tmp_path / "log.jsonl", [*rows, *again_of(results, "dropout")])
    twice = rows_of(load(tmp_path))
    assert twice["dropout", "confirm"]["epochs"] == 4 * 6
    assert twice["dropout", "confirm"]["examples"] == 4 * 6 * 48
    assert twice["baseline", "confirm"]["epochs"] == 3 * 6


def test_a_second_training_ends_with_its_last_update(tmp_path: Path) -> None:
    """6 epochs of 3 updates again, on 80 examples: 18 updates of 16 examples, in epochs of 5, 5, 5 and 3."""
    rows = rows_of(finished(tmp_path, ("seeds = 3", 'seeds = 3\nretrain = "updates"')))
    row = rows["baseline", "confirm"]
    assert (row["epochs"], row["planned_epochs"]) == (3 * (6 + 4), 3 * 12)
    assert (row["examples"], row["gradients"]) == (3 * (18 + 18) * 16, 3 * (18 + 18))


def test_optimism(tmp_path: Path) -> None:
    results = finished(tmp_path)
    frame, trials = optimism(results), results.trials
    for arm in ("baseline", "dropout", "mixup"):
        mine, (row,) = trials[trials["arm"] == arm], frame[frame["arm"] == arm].to_dict("records")
        best = mine[mine["phase"] == "search"]["val_accuracy"].max()
        final = mine[mine["phase"] == "confirm"]
        assert row["optimism_validation"] == pytest.approx(best - final["val_accuracy"].mean())
        assert row["optimism_test"] == pytest.approx(best - final["test_accuracy"].mean())


def test_unequal_budgets_and_arms_that_failed_are_told(tmp_path: Path) -> None:
    arms = ("mixup = { mixup = {} }", "forgetful = { forgetful = {} }")
    budget, seeds = ("trials = 4", "trials_per_knob = 1"), ("seeds = 3", "seeds = 0")
    results = finished(tmp_path, arms, budget, seeds, ("[data]", 'plugins = ["tests.plugin_things"]\n[data]'))
    assert warnings(results, budget_by_phase(results)) == [
        "Arms had unequal budgets in search (planned epochs): baseline 6, dropout 12, forgetful 6.",
        "1 of the 1 trials of forgetful failed, so it had less than its budget.",
    ]
    assert optimism(results).set_index("arm").loc["forgetful"].isna().all()
