"""Retraining on train + validation: algorithms 7.2 and 7.3 of Goodfellow et al. (2016)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from regtune.analysis.comparison import comparison
from regtune.cli.plan import plan_table
from regtune.core.errors import Refused
from regtune.core.records import Epoch, Trial
from regtune.data import joined
from regtune.execution.run import run
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.train_step import TrainStep
from regtune.training.trainer import Training, train
from tests.conftest import SWEEP, neutral, row, small_trial

STOPPING = {"name": "early_stopping", "patience": 2, "monitor": "val_loss", "every": 1}


def confirm_trial(retrain: str, **changes: Any) -> Trial:
    """48 training and 32 validation examples in batches of 16: 3 updates an epoch at first, 5 in retraining."""
    return small_trial(phase="confirm", retrain=retrain, **changes)


def stages(trial: Trial) -> tuple[list[Epoch], list[Epoch]]:
    epochs = list(train(trial))
    assert [e.number for e in epochs] == list(range(1, len(epochs) + 1))
    assert [e.outcome is not None for e in epochs] == [False] * (len(epochs) - 1) + [True]
    first = [e for e in epochs if e.stage == "train"]
    return first, epochs[len(first) :]


@pytest.mark.parametrize(("retrain", "updates", "epochs"), [("updates", [5, 5, 2], 3), ("epochs", [5, 5, 5, 5], 4)])
def test_as_many_updates_or_as_many_epochs(
    retrain: str, updates: list[int], epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four epochs of three updates are kept: 12 updates are 2.4 epochs of 80 examples, 4 epochs are 20 updates."""
    moments, original = [], TrainStep.step

    def spy(self: TrainStep, *arguments: Any) -> Any:
        moments.append(arguments[3])
        return original(self, *arguments)

    monkeypatch.setattr(TrainStep, "step", spy)
    first, second = stages(confirm_trial(retrain))
    assert (len(first), len(second)) == (4, epochs)
    again = moments[12:]
    ends = [number for number, update in enumerate(again, start=1) if update.ends_epoch]
    assert [b - a for a, b in zip([0, *ends], ends, strict=False)] == updates
    # The learning rate takes the same course over what is trained again.
    assert [m.progress for m in again] == [step / sum(updates) for step in range(sum(updates))]
    outcome = second[-1].outcome
    assert outcome is not None
    assert (outcome.status, outcome.kept, outcome.metrics["retrain_epochs"]) == ("ok", 4, float(epochs))
    assert outcome.metrics["val_loss"] == first[3].val_loss
    assert outcome.metrics["val_ece"] != outcome.metrics["test_ece"]
    assert outcome.test_right


def test_it_is_an_ordinary_training_on_all_the_data_from_other_weights() -> None:
    trial = confirm_trial("epochs")
    data = load_data(trial)
    whole = dataclasses.replace(data, train=joined(data.train, data.validation))
    *_, expected = train(dataclasses.replace(trial, seed=-1 - trial.seed, retrain="none"), data=whole)
    _, second = stages(trial)
    assert expected.outcome is not None
    assert second[-1].outcome is not None
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert second[-1].outcome.metrics[name] == expected.outcome.metrics[name]
    assert len(whole.train) == 80
    start = Lane((trial,)).state.params
    again = Lane((dataclasses.replace(trial, seed=-1 - trial.seed),)).state.params
    assert not torch.equal(start["head.weight"], again["head.weight"])


def test_early_stopping_says_how_long_and_is_silent_then() -> None:
    first, second = stages(confirm_trial("epochs", recipe=(STOPPING,), epochs=30))
    kept = min(first, key=lambda e: (e.val_loss, e.number)).number
    assert len(first) == kept + 2 < 30
    assert len(second) == kept
    assert second[-1].outcome is not None
    assert second[-1].outcome.kept == kept


def test_the_early_stopped_loss_is_matched_from_the_weights_kept() -> None:
    trial = confirm_trial("loss", recipe=(STOPPING,), epochs=30)
    first, second = stages(trial)
    outcome = second[-1].outcome
    (ended,) = [e for e in train(dataclasses.replace(trial, retrain="none")) if e.outcome]
    assert outcome is not None
    assert ended.outcome is not None
    target = ended.outcome.metrics["train_loss"]
    assert target is not None
    assert outcome.metrics["target_reached"] == 1.0
    losses = [e.val_loss for e in second]
    assert losses[-1] is not None
    assert losses[-1] <= target
    assert all(loss is not None and loss > target for loss in losses[:-1])
    # One epoch on from the kept weights the training loss is near the one kept, far below that of fresh weights.
    kept = first[outcome.kept - 1].train_loss
    assert second[0].train_loss is not None
    assert kept is not None
    assert second[0].train_loss < kept * 1.2 < first[0].train_loss  # type: ignore[operator]  # it is finite


def test_matching_a_loss_goes_on_at_the_rate_of_the_kept_epoch() -> None:
    """Whatever the schedule says of the end of the budget: at a rate of 0 nothing would ever be matched."""
    cosine = {"name": "cosine_restarts", "lowest": 0.0}
    trial = confirm_trial("loss", recipe=(STOPPING, cosine), epochs=6, retrain_cap=4)
    first, second = stages(trial)
    assert second
    assert second[-1].outcome is not None
    assert {e.learning_rate for e in second} == {first[second[-1].outcome.kept - 1].learning_rate}
    assert second[0].learning_rate


@pytest.mark.parametrize("name", ["swa", "ema", "l2_sp", "early_stopping"])
@pytest.mark.parametrize("retrain", ["updates", "loss"])
def test_neutral_methods_change_nothing_in_retraining(name: str, retrain: str) -> None:
    changes = {"epochs": 12, "retrain_cap": 5}
    base = confirm_trial(retrain, recipe=(STOPPING,), **changes)
    ours = confirm_trial(retrain, recipe=(STOPPING, row(name, neutral(name))), **changes)
    assert [e.numbers() for e in train(ours)] == [e.numbers() for e in train(base)]


def test_a_loss_that_is_not_matched_is_reported() -> None:
    _, second = stages(confirm_trial("loss", recipe=(STOPPING,), epochs=30, retrain_cap=1))
    outcome = second[-1].outcome
    assert outcome is not None
    assert outcome.status == "ok"
    assert outcome.metrics["target_reached"] == 0.0
    assert outcome.metrics["retrain_epochs"] == 1.0
    assert "within 1 epochs" in outcome.message


def test_a_loss_that_is_matched_already_needs_no_second_training() -> None:
    easy = {"name": "synthetic", "train": 48, "validation": 32, "test": 37, "noise": 0.0, "side": 6}
    trial = confirm_trial("loss", recipe=(STOPPING,), data=easy, epochs=3)
    first, second = stages(trial)
    assert second == []
    assert first[-1].outcome is not None
    assert first[-1].outcome.metrics["retrain_epochs"] == 0.0
    assert first[-1].outcome.metrics["target_reached"] == 1.0


@pytest.mark.parametrize("retrain", ["updates", "loss"])
@pytest.mark.parametrize("after", [1, -2])
def test_a_resumed_trial_is_the_uninterrupted_one(retrain: str, after: int) -> None:
    """Interrupted in its first and in its second training."""
    trial = confirm_trial(retrain, recipe=(STOPPING, {"name": "ema"}), epochs=30)
    whole = list(train(trial))
    place = after % len(whole)
    begun = Training(trial)
    for _ in range(place):
        next(begun)
    rest = list(train(trial, resume=begun.checkpoint()))
    assert [e.numbers() for e in rest] == [e.numbers() for e in whole[place:]]


def test_what_cannot_be_retrained_is_refused() -> None:
    with pytest.raises(Refused, match="expected a confirm trial"):
        next(train(small_trial(retrain="epochs")))
    with pytest.raises(Refused, match="unknown way 'epoch' \\(did you mean 'epochs'"):
        next(train(confirm_trial("epoch")))


@pytest.mark.parametrize(("retrain", "most"), [("none", 6), ("updates", 12), ("epochs", 12), ("loss", 16)])
def test_plan_and_display_count_the_second_training(retrain: str, most: int, tmp_path: Path) -> None:
    """Three arms of 4 search trials of 6 epochs and 3 confirm trials; a cap of 10 epochs on matching a loss."""
    path = tmp_path / "again.toml"
    path.write_text(SWEEP.replace("seeds = 3", f'seeds = 3\nretrain = "{retrain}"\nretrain_cap = 10'))
    sweep = Sweep.read(path)
    assert sweep.most_epochs("confirm") == most
    console = Console(width=200)
    with console.capture() as printed:
        console.print(plan_table(sweep))
    assert f"21 trials, at most {3 * (4 * 6 + 3 * most)} epochs" in printed.get()


def test_a_sweep_with_retraining_says_so_in_its_table(tmp_path: Path) -> None:
    text = SWEEP.replace("dropout = { dropout = {} }", "stopped = { early_stopping = { patience = 1 } }")
    path = tmp_path / "again.toml"
    path.write_text(text.replace("seeds = 3", 'seeds = 3\nretrain = "epochs"'))
    log = run(Sweep.read(path), tmp_path, in_process=True)
    results = load(log)
    confirmed = results.trials[results.trials["phase"] == "confirm"]
    assert (confirmed["retrain_epochs"] == confirmed["kept"]).all()
    assert (confirmed["epochs"] > confirmed["retrain_epochs"]).all()
    assert set(results.epochs["stage"]) == {"train", "retrain"}
    table = comparison(results)
    assert table["retrain_epochs"].notna().all()
    assert "trained a second time, on train + validation" in markdown(tables(results))
    assert "epochs again" in markdown(tables(results))
    right = results.right_answers["mixup"]
    mine = confirmed[confirmed["arm"] == "mixup"]
    assert right.shape == (37, 3)
    assert (right.mean() == mine.set_index("number")["test_accuracy"]).all()
    assert (mine["gap"] == mine["train_accuracy"] - mine["test_accuracy"]).all()
    before = read_log(log)[0]
    run(Sweep.read(path), tmp_path, in_process=True)
    assert read_log(log)[0] == before
