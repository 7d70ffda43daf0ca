"""Metrics over classes against scikit-learn's, and on examples whose answer is known; and that trials record them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score
from torch import Tensor

from regtune.core.errors import Refused
from regtune.core.metric import CLASSWISE, METRICS
from regtune.core.records import Epoch, Outcome, Trial
from regtune.data import Splits, pixels
from regtune.execution.try_out import epoch_line
from regtune.training.classwise import classwise, lacking
from regtune.training.lane import Lane
from regtune.training.trainer import Training, train
from tests.conftest import small_trial, trained


def sklearns(name: str, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return scikit-learn's value of a metric of probabilities [N, C] and labels [N]."""
    answers, classes = probabilities.argmax(-1), probabilities.shape[-1]
    if name == "auroc":
        given = probabilities[:, 1] if classes == 2 else probabilities
        return float(roc_auc_score(labels, given, multi_class="ovr", average="macro", labels=range(classes)))
    return float(
        {
            "accuracy": lambda: accuracy_score(labels, answers),
            "balanced_accuracy": lambda: balanced_accuracy_score(labels, answers),
            "macro_f1": lambda: f1_score(labels, answers, average="macro"),
            "nll": lambda: log_loss(labels, probabilities, labels=range(classes)),
        }[name]()
    )


@pytest.mark.parametrize("name", CLASSWISE)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(2, 6),
    more=st.integers(0, 60),
    steps=st.sampled_from([1, 3, 1000]),
    skew=st.floats(0.1, 5),
)
def test_it_is_scikit_learns(name: str, seed: int, classes: int, more: int, steps: int, skew: float) -> None:
    """Also with ties, of which logits on few steps have many, and with one class far more frequent than others."""
    draws = np.random.default_rng(seed)
    share = draws.dirichlet(np.full(classes, 1 / skew))
    labels = draws.permutation(np.concatenate([np.arange(classes), draws.choice(classes, size=more, p=share)]))
    logits = torch.tensor(np.round(draws.normal(size=(len(labels), classes)) * steps) / steps)
    expected = sklearns(name, logits.softmax(-1).numpy(), labels)
    assert classwise(name, logits, torch.tensor(labels)) == pytest.approx(expected, abs=1e-12)


def test_what_always_says_one_class_is_no_better_than_chance() -> None:
    """95 % of one class: accuracy is 0.95, the others say what it is worth."""
    labels = torch.tensor([0] * 95 + [1] * 5)
    logits = torch.tensor([[2.0, 0.0]], dtype=torch.float64).expand(100, 2)
    assert classwise("balanced_accuracy", logits, labels) == 0.5
    assert classwise("macro_f1", logits, labels) == pytest.approx(0.5 * 2 * 95 / 195)
    assert classwise("auroc", logits, labels) == 0.5
    assert classwise("auroc", torch.nn.functional.one_hot(labels, 2).double(), labels) == 1.0


def test_it_is_undefined_where_a_class_has_no_examples_or_nothing_can_be_ranked() -> None:
    logits, labels = torch.eye(3, dtype=torch.float64), torch.tensor([0, 1, 1])
    assert lacking(labels, 3) == [2] and not lacking(labels, 2)
    for name in CLASSWISE:
        assert math.isnan(classwise(name, logits, labels))
    whole, broken = torch.tensor([0, 1, 2]), logits.clone()
    broken[2, 0] = math.nan
    assert math.isnan(classwise("auroc", broken, whole))
    assert classwise("balanced_accuracy", broken, whole) == pytest.approx(2 / 3), "NaN is never right"
    assert classwise("macro_f1", broken, whole) == pytest.approx(2 / 3), "and is no answer that is wrong elsewhere"


def asked(metric: str, phase: str = "confirm", **changes: Any) -> Trial:
    return small_trial(metric=metric, phase=phase, **changes)


def ended(trial: Trial) -> tuple[list[Epoch], Outcome]:
    epochs = list(train(trial))
    assert epochs[-1].outcome is not None
    return epochs, epochs[-1].outcome


def with_test(trial: Trial) -> tuple[Tensor, Splits]:
    """Return the test probabilities of a trial's last weights, and its data."""
    lane = trained(trial)
    assert lane.data.test is not None
    lane.train_step.net.eval()
    images = pixels(lane.data.test.images, torch.float32)
    return lane.train_step.logits(*lane.kept[0], lane.knobs, images).detach().double().softmax(-1), lane.data


@pytest.mark.parametrize("name", list(METRICS))
def test_a_confirm_trial_ends_with_what_scikit_learn_says_of_its_test_split(name: str) -> None:
    trial = asked("", epochs=2)
    probabilities, data = with_test(trial)
    assert data.test is not None
    expected = sklearns(name, probabilities.numpy(), data.test.labels.numpy())
    assert ended(trial)[1].metrics[METRICS[name].test] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", CLASSWISE)
def test_asking_for_one_records_it_after_each_epoch_and_changes_no_other_number(name: str) -> None:
    plain, plainly = ended(small_trial())
    more, measured = ended(asked(name, "search"))
    column = METRICS[name].val
    assert all(epoch.on_validation(METRICS[name]) is not None for epoch in more)
    without = [{k: v for k, v in epoch.numbers().items() if k not in (column, "outcome")} for epoch in more]
    assert without == [{k: v for k, v in epoch.numbers().items() if k != "outcome"} for epoch in plain]
    assert measured.metrics == {**plainly.metrics, column: more[-1].on_validation(METRICS[name])}
    assert not any(column in epoch.plain() for epoch in plain), "logs of those who do not ask are as they were"
    assert all(Epoch.from_plain(epoch.plain()) == epoch for epoch in [*plain, *more])


def test_an_unknown_metric_of_a_trial_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refused, match=r"metric: unknown metric 'aurok'.*'auroc'"):
        Training(asked("aurok"))


def test_a_line_of_an_epoch_has_it() -> None:
    first = next(iter(train(asked("macro_f1"))))
    assert f"val_macro_f1 {100 * (first.val_macro_f1 or 0):.2f} %" in epoch_line(first)


def test_trials_that_ask_for_nothing_keep_their_ids() -> None:
    trial = small_trial()
    assert "metric" not in trial.plain() and Trial.from_plain(trial.plain()) == trial
    other = dataclasses.replace(trial, metric="auroc")
    assert other.id != trial.id and Trial.from_plain(other.plain()) == other


def test_it_resumes_and_members_of_a_lane_have_their_own() -> None:

    trials = [asked("auroc", "search", seed=seed) for seed in (1, 2)]
    alone = [[epoch.val_auroc for epoch in train(trial)] for trial in trials]
    together = list(Lane(trials))
    for k, curve in enumerate(alone):
        beside = [epochs[k].val_auroc for epochs in together if epochs[k] is not None]  # type: ignore[union-attr]  # just seen
        assert beside == pytest.approx(curve, abs=0.02)
    assert alone[0] != alone[1]
    first = Training(trials[0])
    seen = [next(first).val_auroc, next(first).val_auroc]
    rest = [epoch.val_auroc for epoch in train(trials[0], resume=first.checkpoint())]
    assert [*seen, *rest] == alone[0]


def test_retraining_keeps_the_validation_metric_of_the_first_training() -> None:
    epochs, outcome = ended(asked("macro_f1", retrain="updates"))
    first = [epoch for epoch in epochs if epoch.stage == "train"]
    assert outcome.metrics["val_macro_f1"] == first[outcome.kept - 1].val_macro_f1
    assert outcome.metrics["test_macro_f1"] is not None
