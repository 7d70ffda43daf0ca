"""How tightly classes lie in the last hidden layer: against closed forms, against numpy, and beside all else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.records import Epoch, Retrain, Trial
from regtune.execution.preflight import preflight
from regtune.networks import NETWORKS
from regtune.results.loader import load
from regtune.storage.compatibility import changed
from regtune.sweep.sweep import Sweep
from regtune.training.features import check_last_layer, features_of
from regtune.training.lane import Lane
from regtune.training.neural_collapse import NeuralCollapse
from regtune.training.neural_collapse import neural_collapse as tightness_in_batches
from regtune.training.trainer import train
from tests.conftest import small_trial, trained
from tests.resuming import SMALL, ran, read
from tests.test_networks import FOREIGN, TINY, every_network, started, straight, tiny_trial

NEW = {"train_nc1", "train_cdnv", "val_nc1", "val_cdnv"}
PLUGINS = ("tests.plugin_heads",)
ON = SMALL.replace("batch = 16", "batch = 16\ntightness = true")


def tightness(features: Tensor, labels: Tensor, classes: int = 10, rows: int = 7) -> NeuralCollapse:
    pairs = list(zip(torch.split(features, rows), torch.split(labels, rows), strict=True))
    return tightness_in_batches(lambda: pairs, classes)


def by_hand(features: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return both as they are defined, with d x d matrices and numpy's pseudo-inverse."""
    h, y = features.double().numpy(), labels.numpy()
    kinds = np.unique(y)
    mu = np.stack([h[y == c].mean(0) for c in kinds])
    off = h - mu[np.searchsorted(kinds, y)]
    center = mu - mu.mean(0)
    inverse = np.linalg.pinv(center.T @ center / len(kinds), rcond=1e-10, hermitian=True)
    nc1 = np.trace(off.T @ off / len(h) @ inverse) / len(kinds)
    var = [(off[y == c] ** 2).sum(1).mean() for c in kinds]
    terms = [
        (var[i] + var[j]) / (2 * ((mu[i] - mu[j]) ** 2).sum())
        for i in range(len(kinds))
        for j in range(len(kinds))
        if i != j
    ]
    return float(nc1), float(np.mean(terms))


def clusters(n: int, d: int, k: int, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return features [n k, d] around k centers and their labels, in mixed order."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(k).repeat(n)[torch.randperm(n * k, generator=rng)]
    centers = torch.randn(k, d, generator=rng, dtype=torch.float64)
    return centers[labels] + spread * torch.randn(n * k, d, generator=rng, dtype=torch.float64), labels


def test_isotropic_gaussians_have_the_numbers_of_the_formulas() -> None:
    """d sigma^2 / |mu_1 - mu_2|^2, and sigma^2 / (4 |(mu_1 - mu_2) / 2|^2) times 2 in the one direction of the means.

    Two classes of 20,000 examples: both have a standard error near 1 %.
    """
    rng, d, sigma = torch.Generator().manual_seed(1), 6, 0.5
    labels = torch.arange(2).repeat(20_000)
    mu = torch.zeros(2, d, dtype=torch.float64)
    mu[1, 2] = 3.0
    features = mu[labels] + sigma * torch.randn(40_000, d, generator=rng, dtype=torch.float64)
    found = tightness(features, labels, 2, rows=1000)
    assert found.cdnv == pytest.approx(d * sigma**2 / 9, rel=0.03)
    # Sigma_B has the one eigenvalue 9 / 4, and Sigma_W is sigma^2 there.
    assert found.nc1 == pytest.approx(sigma**2 / (9 / 4) / 2, rel=0.03)


@given(
    n=st.integers(1, 6),
    d=st.integers(1, 12),
    k=st.integers(2, 7),
    more=st.integers(0, 3),
    rows=st.integers(1, 50),
    seed=st.integers(0, 99),
    narrow=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_both_are_those_of_the_definitions(
    n: int, d: int, k: int, more: int, rows: int, seed: int, narrow: bool
) -> None:
    """More classes than dimensions or fewer, classes that nobody has, any batches, features in float32."""
    features, labels = clusters(n, d, k, seed)
    if narrow:
        features = features.float()
    shifted = labels + more  # classes below `more` are absent
    found = tightness(features, shifted, k + 2 * more, rows)
    nc1, cdnv = by_hand(features, labels)
    assert found.nc1 == pytest.approx(nc1, rel=1e-6)
    assert found.cdnv == pytest.approx(cdnv, rel=1e-9)


def test_a_shift_of_all_features_is_no_dimension_of_the_means() -> None:
    features, labels = clusters(5, 8, 4)
    for shift in (0.0, 1e3, 1e6):
        assert tightness(features + shift, labels).nc1 == pytest.approx(by_hand(features, labels)[0], rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_directions_that_only_rounding_makes_are_left_out(shift: float) -> None:
    """Behind a bottleneck of 4 the means of 10 classes lie in 4 dimensions; float32 puts noise into 5 more.

    Divided by means that are as small, that noise would be most of NC1.
    """
    narrow, labels = clusters(40, 4, 10, spread=0.3)
    widened = narrow @ torch.randn(4, 64, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    exact = tightness(widened, labels)
    rounded = tightness(widened.float() + shift, labels)
    assert rounded.nc1 == pytest.approx(exact.nc1, rel=1e-3)
    assert rounded.cdnv == pytest.approx(exact.cdnv, rel=1e-3)
    flat = torch.full((400, 64), 0.7) + 1e-8 * torch.randn(400, 64, generator=torch.Generator().manual_seed(1))
    assert tightness(flat, labels).named("val") == {"val_nc1": None, "val_cdnv": None}


def test_what_leaves_both_alone() -> None:
    """Rotations and scale do. Where the means span all dimensions, every invertible map leaves NC1 alone."""
    features, labels = clusters(6, 4, 8)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    plain, turned = tightness(features, labels), tightness(3 * features @ turn, labels)
    assert turned.nc1 == pytest.approx(plain.nc1, rel=1e-9)
    assert turned.cdnv == pytest.approx(plain.cdnv, rel=1e-9)
    bent = torch.diag(torch.tensor([1.0, 2.0, 5.0, 0.1], dtype=torch.float64)) @ turn
    assert tightness(features @ bent, labels).nc1 == pytest.approx(plain.nc1, rel=1e-9)
    assert tightness(features @ bent, labels).cdnv != pytest.approx(plain.cdnv, rel=0.01)
    # With a direction in which no mean lies, the pseudo-inverse knows one basis from another.
    wide, few = clusters(6, 4, 3)
    assert tightness(wide @ bent, few).nc1 != pytest.approx(tightness(wide, few).nc1, rel=0.01)


def test_mixed_labels_raise_both() -> None:
    features, labels = clusters(20, 10, 4, spread=0.5)
    mixed = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))]
    right, wrong = tightness(features, labels), tightness(features, mixed)
    assert wrong.nc1 > 3 * right.nc1
    assert wrong.cdnv > 3 * right.cdnv


def test_classes_that_have_collapsed_are_at_zero() -> None:
    features, labels = clusters(3, 5, 4, spread=0.0)
    assert tightness(features, labels).nc1 == pytest.approx(0, abs=1e-28)
    assert tightness(features, labels).cdnv == pytest.approx(0, abs=1e-28)
    assert tightness(torch.eye(4)[labels], labels) == NeuralCollapse(nc1=0.0, cdnv=0.0)


def test_what_is_undefined_is_nan_and_none_as_a_metric() -> None:
    features, labels = clusters(4, 5, 3)
    nothing = {"val_nc1": None, "val_cdnv": None}
    assert tightness(features, torch.zeros_like(labels)).named("val") == nothing
    for broken in (math.nan, math.inf):
        holed = features.clone()
        holed[3, 2] = broken
        assert tightness(holed, labels).named("val") == nothing
    for same in (0.0, 0.1):  # a dead network: every example has the same features, and a mean of 0.1s is not 0.1
        assert tightness(torch.full_like(features, same), labels).named("val") == nothing
    # Classes 0 and 1 have one mean; class 2 lies elsewhere, so there is a direction to measure along.
    spread = torch.tensor([[0.1, 1.0], [0.1, -1.0], [0.1, 2.0], [0.1, -2.0], [7.3, 0.5], [7.5, -0.5]])
    two = tightness(spread, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert math.isnan(two.cdnv)
    assert 0 < two.nc1 < 1


@every_network
def test_the_last_layer_of_every_network_is_the_one_that_gives_the_logits(name: str) -> None:
    net = started(name, **TINY[name]).eval()
    net.requires_grad_(False)
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with features_of(net, 10) as features:
        logits = net(images, straight)
        taken = features(logits)
        assert torch.equal(net.get_submodule("head")(taken), logits)
        with pytest.raises(Refused, match="expected a network whose logits are the output of an nn"):
            features(logits + 1)
    assert not any(part._forward_hooks for part in net.modules())
    assert taken.shape == (5, net.get_parameter("head.weight").shape[1])
    net.train()
    check_last_layer(net, images, 10)
    assert all(part.training for part in net.modules())


def stripped(epochs: list[Epoch]) -> list[dict[str, Any]]:
    """Return the numbers of epochs without what is asked for."""
    rows = [epoch.numbers() for epoch in epochs]
    for row in rows:
        if row["outcome"]:
            row["outcome"]["metrics"] = {n: v for n, v in row["outcome"]["metrics"].items() if n not in NEW}
    return rows


def asked(trial: Trial) -> Trial:
    return dataclasses.replace(trial, tightness=True)


@pytest.mark.parametrize("name", sorted(TINY | FOREIGN))
def test_asking_changes_no_other_number(name: str) -> None:
    trial = tiny_trial(name, [{"name": "ema"}], phase="confirm")
    plain, more = list(train(trial)), list(train(asked(trial)))
    assert stripped(more) == stripped(plain)
    assert plain[-1].outcome is not None and more[-1].outcome is not None
    metrics = more[-1].outcome.metrics
    assert set(metrics) - set(plain[-1].outcome.metrics) == NEW
    assert all(value is not None and value > 0 for name, value in metrics.items() if name in NEW)


def test_both_are_taken_of_the_weights_kept_on_whole_splits() -> None:
    stopping = {"name": "early_stopping", "patience": 2, "monitor": "val_loss"}
    lane = trained(asked(small_trial([stopping], epochs=30)))
    outcome, (params, _) = lane.epochs[0][-1].outcome, lane.kept[0]
    assert outcome is not None and outcome.kept < len(lane.epochs[0])
    net = lane.train_step.net.eval()
    net.load_state_dict(lane.kept[0][0] | lane.kept[0][1])
    given: list[Tensor] = []
    net.get_submodule("head").register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
    for split, examples in (("train", lane.data.train), ("val", lane.data.validation)):
        net(examples.images, straight)
        nc1, cdnv = by_hand(given[-1], examples.labels)
        assert given[-1].shape == (len(examples), params["head.weight"].shape[1])
        assert outcome.metrics[f"{split}_nc1"] == pytest.approx(nc1, rel=1e-4)
        assert outcome.metrics[f"{split}_cdnv"] == pytest.approx(cdnv, rel=1e-4)


def test_a_trial_that_goes_on_from_a_checkpoint_has_the_same_numbers() -> None:
    trial = asked(small_trial([{"name": "dropout"}]))
    lane, whole = Lane((trial,)), trained(trial)
    next(lane)
    on = Lane((trial,), resume=lane.checkpoint())
    for _ in on:
        pass
    assert [e.numbers() for e in on.epochs[0]] == [e.numbers() for e in whole.epochs[0]]


def test_smoothed_labels_bring_training_examples_closer_to_their_class() -> None:
    """By NC1 on 200 digits, which was 0.15 to 0.57 of the baseline's for six seeds; CDNV went either way."""
    for seed in (0, 1):
        nc1 = []
        for recipe in ([], [{"name": "label_smoothing", "eps": 0.1}]):
            trial = asked(small_trial(recipe, data={"name": "digits", "train": 200, "validation": 397}, seed=seed))
            optimizer = trial.optimizer | {"learning_rate": 0.05}
            *_, last = train(dataclasses.replace(trial, optimizer=optimizer, epochs=30, batch=20))
            assert last.outcome is not None and last.outcome.metrics["train_nc1"] is not None
            nc1.append(last.outcome.metrics["train_nc1"])
        assert nc1[1] < 0.8 * nc1[0]


def test_members_of_a_lane_have_the_numbers_of_trials_alone() -> None:
    trials = [asked(small_trial([{"name": "dropout"}], seed=seed, epochs=2)) for seed in (7, 8)]
    lane = Lane(trials)
    for _ in lane:
        pass
    for trial, epochs in zip(trials, lane.epochs, strict=True):
        alone, beside = trained(trial).epochs[0][-1].outcome, epochs[-1].outcome
        assert alone is not None and beside is not None
        for name in NEW:
            assert beside.metrics[name] == pytest.approx(alone.metrics[name], rel=1e-4)
    with pytest.raises(Refused, match="must agree in tightness"):
        Lane((small_trial(), asked(small_trial())))
    with pytest.raises(Refused, match="must agree in tightness"):
        Lane((asked(small_trial()), small_trial()))


@pytest.mark.parametrize("retrain", ["epochs", "loss"])
def test_after_retraining_validation_numbers_are_those_of_before(retrain: Retrain) -> None:
    stopping = {"name": "early_stopping", "patience": 2, "monitor": "val_loss"}
    trial = asked(small_trial([stopping], phase="confirm", epochs=9))
    (*_, once), (*_, twice) = train(trial), train(dataclasses.replace(trial, retrain=retrain, retrain_cap=5))
    assert once.outcome is not None and twice.outcome is not None
    assert twice.stage == "retrain"
    before, after = once.outcome.metrics, twice.outcome.metrics
    assert {name: after[name] for name in NEW if name.startswith("val")} == {
        name: before[name] for name in NEW if name.startswith("val")
    }
    assert after["train_nc1"] != before["train_nc1"]


def test_ids_and_rows_of_trials_without_are_what_they_were() -> None:
    trial = small_trial()
    assert "tightness" not in trial.plain()
    assert asked(trial).plain() == trial.plain() | {"tightness": True}
    assert asked(trial).id != trial.id
    assert Trial.from_plain(trial.plain()) == trial
    assert Trial.from_plain(asked(trial).plain()) == asked(trial)


def test_a_sweep_that_asks_has_the_columns_and_its_log_takes_no_change_of_mind(tmp_path: Path) -> None:
    log = ran(tmp_path, ON)
    trials = load(log).trials
    assert (trials[sorted(NEW)] > 0).all(axis=None)
    (tmp_path / "off").mkdir()
    assert load(ran(tmp_path / "off")).trials[sorted(NEW)].isna().all(axis=None)
    on, off = read(tmp_path, ON), read(tmp_path / "off", SMALL)
    assert "tightness" not in off.plain()["training"]
    with pytest.raises(Refused, match=r"training\.tightness: nothing -> True"):
        changed(off.plain(), on.plain())
    with pytest.raises(Refused, match=r"log\.jsonl: holds a sweep that differs in .*training\.tightness: True -> not"):
        ran(tmp_path, SMALL)
    assert changed(on.plain(), on.plain()) == ([], [])


def heads() -> Iterator[tuple[str, bool]]:
    yield from (("convolutional", False), ("scaled", False), ("named", True), ("with_auxiliary", True))


@pytest.mark.parametrize(("name", "fits"), heads())
def test_a_network_of_a_user_is_asked_for_its_last_layer(name: str, fits: bool, tmp_path: Path) -> None:
    assert name not in NETWORKS.all()
    trial = small_trial(network={"name": name}, plugins=PLUGINS, epochs=1)
    text = ON.replace("[data]", f'plugins = ["{PLUGINS[0]}"]\n[data]', 1).replace('"mlp"\nwidths = [12]', f'"{name}"')
    text = text.replace("dropout = { dropout = {} }\n", "")  # it needs slots
    (tmp_path / "sweep.toml").write_text(text)
    if fits:
        preflight(Sweep.read(tmp_path / "sweep.toml"))
        outcome = trained(asked(trial)).epochs[0][-1].outcome
        assert outcome is not None and outcome.metrics["val_nc1"] is not None
        return
    trained(trial)
    for refused in (lambda: preflight(Sweep.read(tmp_path / "sweep.toml")), lambda: Lane((asked(trial),))):
        with pytest.raises(Refused) as caught:
            refused()
        assert str(caught.value).startswith("training.tightness: expected a network whose logits are the output of")
        assert str(caught.value).endswith("let it end in one, or drop training.tightness")
        assert len(str(caught.value).splitlines()) == 1


def test_the_auxiliary_head_is_not_taken_for_the_last_layer() -> None:
    trial = asked(small_trial(network={"name": "with_auxiliary"}, plugins=PLUGINS, epochs=1))
    lane = trained(trial)
    net = lane.train_step.net
    assert isinstance(net.get_submodule("head"), nn.Linear)
    with features_of(net, lane.data.classes) as features:
        logits = lane.train_step.logits(*lane.kept[0], lane.knobs, lane.data.validation.images)
        assert features(logits).shape[1] == net.get_parameter("head.weight").shape[1] == 8


def test_logits_that_are_no_numbers_are_found_and_undefined() -> None:
    net = nn.Linear(3, 2)
    with features_of(net, 2) as features, torch.no_grad():
        assert features(net(torch.full((4, 3), math.nan))).isnan().all()
