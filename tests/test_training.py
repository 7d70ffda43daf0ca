"""The loop against an ordinary PyTorch loop, optimizers against torch.optim, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from regtune.core.bitset import pack_bits, unpack_bits
from regtune.core.errors import Refused
from regtune.core.records import Trial
from regtune.core.rng import Rng
from regtune.execution.rehearsal import rehearse, variants
from regtune.optimizers import SGD, AdamW, Optimizer
from regtune.training.build import load_data
from regtune.training.evaluation import calibration_error, measure, sizes
from regtune.training.lane import Lane
from regtune.training.trainer import train
from tests.conftest import small_trial, trained
from tests.resuming import SMALL, ran, read

MEASURED = {
    *("train_accuracy", "train_loss", "val_accuracy", "val_loss", "val_ece"),
    *("weight_norm", "zero_share", "distance"),
}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(learning_rate=0.1, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.1)),
        (SGD(learning_rate=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (
            SGD(learning_rate=0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        ),
        (AdamW(learning_rate=0.01), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0)),
        (
            AdamW(learning_rate=0.01, weight_decay=0.3, beta1=0.8, beta2=0.9),
            lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.3, betas=(0.8, 0.9)),
        ),
    ],
)
def test_optimizers_are_torchs(ours: Optimizer, theirs: Any) -> None:
    start = torch.randn(4, 3, dtype=torch.float64)
    target = torch.randn(4, 3, dtype=torch.float64)
    reference = start.clone().requires_grad_()
    optimizer = theirs([reference])
    params = {"w": start.clone()}
    moments = ours.start(params)
    for step in range(20):
        optimizer.zero_grad()
        torch.autograd.backward((reference - target).square().sum())
        optimizer.step()
        grads = {"w": 2 * (params["w"] - target)}
        params, moments = ours.update(params, grads, moments, learning_rate=ours.learning_rate, step=step)
    torch.testing.assert_close(params["w"], reference.detach(), rtol=1e-12, atol=1e-12)


def test_the_baseline_is_an_ordinary_training_loop() -> None:
    """In float64 rounding stays below 1e-10; knobs are float32, so values that float32 has exactly."""
    settings = {"name": "sgd", "learning_rate": 0.125, "momentum": 0.875, "nesterov": False}
    trial = dataclasses.replace(small_trial(dtype="float64", epochs=3), optimizer=settings)
    lane, data = Lane((trial,)), load_data(trial)
    net = lane.train_step.net
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(lane.state.params[name])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.125, momentum=0.875)
    for epoch in range(1, 4):
        order = Rng(seed=trial.seed, step=epoch, prefix="order/").permutation("epoch", 48)
        for batch in torch.split(order, 16):
            x = data.train.images[batch].double()
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(net(x, lambda signal, slot: signal), data.train.labels[batch]))
            optimizer.step()
    for _ in lane:
        pass
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(lane.state.params[name], parameter.detach(), rtol=0, atol=1e-10)


def test_search_never_opens_the_test_split_and_confirm_does() -> None:
    *_, searched = train(small_trial())
    *_, confirmed = train(small_trial(phase="confirm"))
    assert searched.outcome is not None
    assert confirmed.outcome is not None
    assert set(searched.outcome.metrics) == MEASURED
    tested = {"test_accuracy", "test_loss", "test_ece", "test_accuracy_last", "test_loss_last"}
    classwise = {"test_balanced_accuracy", "test_macro_f1", "test_auroc"}
    assert set(confirmed.outcome.metrics) == MEASURED | tested | classwise
    assert Lane((small_trial(),)).data.test is None
    assert [e.outcome for e in train(small_trial())][:-1] == [None] * 3


def test_the_kept_epoch_is_the_one_that_is_measured() -> None:
    trial = small_trial([{"name": "early_stopping", "patience": 2, "monitor": "val_loss"}], epochs=30, phase="confirm")
    epochs = list(train(trial))
    outcome = epochs[-1].outcome
    assert outcome is not None
    assert outcome.kept == min(epochs, key=lambda e: (e.val_loss, e.number)).number < len(epochs) < 30
    assert outcome.metrics["val_loss"] == epochs[outcome.kept - 1].val_loss
    assert outcome.metrics["test_loss"] != outcome.metrics["test_loss_last"]


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged() -> None:
    explosive = {"name": "sgd", "learning_rate": 1000.0, "momentum": 0.9, "nesterov": False}
    trial = small_trial([{"name": "l2", "strength": 1000.0}], epochs=30)
    *_, last = train(dataclasses.replace(trial, optimizer=explosive))
    assert last.outcome is not None
    assert last.outcome.status == "diverged"
    assert "objective became" in last.outcome.message
    assert last.objective is None


def test_metrics_are_those_of_plain_torch() -> None:
    lane = Lane((small_trial(),))
    next(lane)
    ((accuracy, loss, _),) = measure(
        lane.train_step, lane.state.params, lane.state.buffers, lane.knobs, lane.data.validation
    )
    logits = lane.train_step.logits(lane.state.params, lane.state.buffers, lane.knobs, lane.data.validation.images)
    labels = lane.data.validation.labels
    assert accuracy == float((logits.argmax(1) == labels).double().mean())
    assert loss == pytest.approx(float(cross_entropy(logits.double(), labels)), rel=1e-12)


def test_trials_round_trip_and_their_id_is_their_content() -> None:
    trial = small_trial([{"name": "dropout", "p_hidden": 0.5, "p_input": 0.0}])
    assert Trial.from_plain(trial.plain()) == trial
    assert Trial.from_plain(trial.plain()).id == trial.id
    assert dataclasses.replace(trial, seed=8).id != trial.id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 1000}, "batch: expected at most the 48 training examples"),
        ({"device": "cuda"}, "torch sees no GPU"),
        ({"network": {"name": "mlp", "widths": [4, 5], "residual": True}}, "two neighbouring layers of equal width"),
        ({"recipe": ({"name": "stochastic_depth"},), "network": {"name": "mlp"}}, "with a slot of kind residual"),
        ({"recipe": ({"name": "dropot"},)}, "did you mean 'dropout'?"),
        ({"recipe": ({"name": "dropout", "p_hidden": 1.0},)}, "dropout.p_hidden: expected a number in [0, 1)"),
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg' (did you mean 'sgd'?)"),
        ({"data": {"name": "digits", "train": 1700, "validation": 397}}, "lower train or validation"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Refused) as refusal:
        trial = small_trial()
        if "optimizer" in changes:
            changes = {"optimizer": trial.optimizer | {"name": changes["optimizer"]}}
        next(train(dataclasses.replace(trial, **changes)))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


PLUGINS = ("tests.plugin_things",)


def test_a_users_network_with_batchnorm_resumes_bitwise_and_keeps_its_statistics_in_a_lane() -> None:
    trials = [small_trial(network={"name": "batch_norm_net"}, seed=seed, plugins=PLUGINS) for seed in (1, 2, 3)]
    whole, first = Lane(trials[:1]), Lane(trials[:1])
    list(whole), next(first)
    second = Lane(trials[:1], resume=first.checkpoint())
    list(second)
    one, two = Lane(trials[:2]), Lane([trials[0], trials[2]])
    list(one), list(two)
    assert whole.state.buffers["norm.running_var"].ne(1).all()
    for name, value in whole.state.buffers.items():
        assert torch.equal(second.state.buffers[name], value)
        assert torch.equal(one.state.buffers[name][0], two.state.buffers[name][0])


def test_schedules_multiply_and_are_what_training_uses() -> None:
    fading = {"name": "fading", "rate": 2.0}
    epochs = list(train(small_trial([fading, fading], epochs=3, plugins=PLUGINS)))
    expected = [0.1 * math.exp(-4 * done / 3) for done in range(3)]
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx(expected, rel=1e-6)
    rates = [
        Lane([small_trial([row], seed=s, epochs=3, plugins=PLUGINS) for s in (1, 2)])
        for row in (fading, {"name": "fading"})
    ]
    assert [next(lane)[1].learning_rate for lane in rates] == [epochs[0].learning_rate] * 2  # type: ignore[union-attr]  # both go on
    assert not torch.equal(rates[0].state.params["head.weight"], rates[1].state.params["head.weight"])


def test_a_learning_rate_that_is_not_finite_is_written_as_nothing_and_diverges() -> None:
    *_, last = train(small_trial([{"name": "endless"}], plugins=PLUGINS))
    assert last.learning_rate is None
    assert last.outcome is not None
    assert last.outcome.status == "diverged"


def test_a_checkpoint_of_another_trial_is_refused() -> None:
    lane = Lane((small_trial(),))
    next(lane)
    with pytest.raises(Refused, match="the checkpoint is of"):
        Lane((small_trial(seed=8),), resume=lane.checkpoint())


def test_a_lane_of_unlike_trials_is_refused() -> None:
    with pytest.raises(Refused, match="must agree in batch"):
        Lane((small_trial(), small_trial(batch=8)))
    nesterov = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}
    with pytest.raises(Refused, match="must agree in optimizer"):
        Lane((small_trial(), dataclasses.replace(small_trial(), optimizer=nesterov)))


def test_calibration_error_is_that_of_a_table_made_by_hand() -> None:
    """Three answers in one bin (mean confidence 0.9, accuracy 2/3), one on the edge below it, one at 1."""
    confidence = torch.tensor([0.88, 0.9, 0.92, 13 / 15, 1.0], dtype=torch.float64)
    right = torch.tensor([True, False, True, True, False])
    expected = 3 / 5 * (0.9 - 2 / 3) + 1 / 5 * (1 - 13 / 15) + 1 / 5 * 1
    assert calibration_error(confidence, right) == pytest.approx(expected, rel=1e-12)
    assert calibration_error(torch.ones(4, dtype=torch.float64), torch.ones(4, dtype=torch.bool)) == 0


def test_the_end_of_a_trial_says_what_its_kept_weights_are_like() -> None:
    trial = small_trial([{"name": "early_stopping", "patience": 2}], epochs=12, phase="confirm")
    lane = trained(trial)
    outcome = lane.epochs[0][-1].outcome
    assert outcome is not None and outcome.kept < len(lane.epochs[0])
    (params, buffers), begun = lane.kept[0], Lane((trial,)).state.params
    end = {name: p for name, p in params.items() if p.ndim > 1}
    assert 0 < len(end) < len(params)
    flat = torch.cat([p.double().flatten() for p in end.values()])
    start = torch.cat([begun[name].double().flatten() for name in end])
    assert outcome.metrics["weight_norm"] == pytest.approx(float(flat.norm()), rel=1e-12)
    assert outcome.metrics["distance"] == pytest.approx(float((flat - start).norm()), rel=1e-12)
    assert outcome.metrics["zero_share"] == 0
    assert lane.data.test is not None
    for split, examples in (("val", lane.data.validation), ("test", lane.data.test)):
        logits = lane.train_step.logits(params, buffers, lane.knobs, examples.images).double()
        right, confidence = logits.argmax(1) == examples.labels, logits.softmax(1).amax(1)
        assert outcome.metrics[f"{split}_ece"] == pytest.approx(calibration_error(confidence, right), rel=1e-9)
        assert outcome.metrics[f"{split}_accuracy"] == right.double().mean().item()
    assert unpack_bits(outcome.test_right).tolist() == right.tolist()


def test_exact_zeros_are_counted() -> None:
    params = {"head.weight": torch.tensor([[0.0, 3.0], [-0.0, 4.0]]), "head.bias": torch.zeros(2)}
    begun = {"head.weight": torch.tensor([[0.0, 3.0], [2.0, 4.0]]), "head.bias": torch.ones(2)}
    assert sizes(params, begun) == {"weight_norm": 5.0, "zero_share": 0.5, "distance": 2.0}


@given(truths=st.lists(st.booleans(), max_size=40))
def test_truths_come_back_from_their_text(truths: list[bool]) -> None:
    assert unpack_bits(pack_bits(np.array(truths, dtype=bool))).tolist() == truths
    assert unpack_bits("").tolist() == []


def test_a_lane_leaves_the_process_as_it_is_and_who_owns_it_sets_its_threads(tmp_path: Path) -> None:
    def threads(act: Callable[[], object]) -> int:
        torch.set_num_threads(2)
        try:
            act()
            return torch.get_num_threads()
        finally:
            torch.set_num_threads(1)

    sweep = read(tmp_path, SMALL)
    assert threads(lambda: list(Lane((small_trial(),)))) == 2
    assert threads(lambda: train(small_trial(epochs=1))) == 1
    assert threads(lambda: rehearse(sweep, load_data(next(variants(sweep.arms[0]))))) == 1
    assert threads(lambda: ran(tmp_path, SMALL)) == 1
