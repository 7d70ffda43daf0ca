"""Second tasks on the same features: their answers, their gradients, and what leaves the trial."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from regtune.core.errors import Refused
from regtune.core.records import Trial
from regtune.core.rng import Rng
from regtune.data import Examples
from regtune.networks import HEADS, without_heads
from regtune.regularizers import RotationPrediction
from regtune.regularizers.rotation_prediction import turned
from regtune.training.build import load_data, start_network
from regtune.training.lane import Lane
from regtune.training.trainer import weights_of
from tests.conftest import row, small_trial, trained
from tests.meaning.tools import exact, seen
from tests.unlabelled import LEFT, spare, spare_trial

HEAD = f"{HEADS}.rotation"
NETWORK = {"name": "mlp", "widths": [12, 12]}
PLAIN = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}


def pictures(count: int = 8, side: int = 5) -> Tensor:
    return torch.rand(count, 2, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_a_quarter_turn_is_exact_and_four_are_none() -> None:
    x = pictures()
    once = turned(x, torch.ones(8, dtype=torch.int64))
    assert torch.equal(once[:, :, 0, 0], x[:, :, 0, -1]), "counter-clockwise: the upper right corner comes to the left"
    again = once
    for _ in range(3):
        again = turned(again, torch.ones(8, dtype=torch.int64))
    assert torch.equal(again, x)
    mixed = turned(x, torch.arange(8) % 4)
    assert all(torch.equal(mixed[i], torch.rot90(x[i], i % 4, (1, 2))) for i in range(8))


def asked(x: Tensor, weight: Tensor, unlabelled: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
    """Return the penalty of weight 1 of a head of these weights on flat pictures, and what was to be told apart."""
    given = list[Tensor]()

    def features(images: Tensor) -> Tensor:
        given.append(images)
        return images.flatten(1)

    params = {f"{HEAD}.weight": weight, f"{HEAD}.bias": torch.zeros(4, dtype=torch.float64)}
    price = exact(RotationPrediction(weight=1.0)).penalty(
        seen(inputs=x, params=params, features=features, unlabelled=unlabelled)
    )
    return torch.as_tensor(price), given


def test_rotation_prediction_asks_every_turn_of_a_quarter_of_the_batch() -> None:
    x = pictures()
    _, (given,) = asked(x, torch.zeros(4, 50, dtype=torch.float64))
    turns = [next(k for k in range(4) if torch.equal(given[i], torch.rot90(x[i], k, (1, 2)))) for i in range(8)]
    assert sorted(turns) == [0, 0, 1, 1, 2, 2, 3, 3]
    weight = torch.randn(4, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    price, (given,) = asked(x, weight)
    truth = cross_entropy(given.flatten(1) @ weight.T, torch.tensor(turns))
    torch.testing.assert_close(price, truth, rtol=1e-12, atol=0)


def test_pictures_without_labels_are_asked_for_as_often_and_count_as_much() -> None:
    """X. Zhai et al.: the mean of the loss of pictures with labels and of the loss of as many without."""
    x, more = pictures(), pictures().flip(0, 2).sqrt()
    weight = torch.randn(4, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    price, (given,) = asked(x, weight, more)
    losses = []
    for before, after in ((x, given[:8]), (more, given[8:])):
        turns = [
            next(k for k in range(4) if torch.equal(after[i], torch.rot90(before[i], k, (1, 2)))) for i in range(8)
        ]
        assert sorted(turns) == [0, 0, 1, 1, 2, 2, 3, 3]
        losses.append(cross_entropy(after.flatten(1) @ weight.T, torch.tensor(turns)))
    torch.testing.assert_close(price, (losses[0] + losses[1]) / 2, rtol=1e-12, atol=0)


def test_nobody_tells_turns_of_symmetric_pictures() -> None:
    """Whatever the head answers, its mean loss is that of guessing at best, ln 4."""
    x = pictures()
    symmetric = sum((torch.rot90(x, k, (2, 3)) for k in range(4)), torch.zeros(()))
    for seed in range(20):
        weight = torch.randn(4, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        price, _ = asked(symmetric[:1].expand(8, -1, -1, -1), weight)
        assert price > math.log(4)
    price, _ = asked(symmetric, torch.zeros(4, 50, dtype=torch.float64))
    assert float(price) == pytest.approx(math.log(4), rel=1e-12)


def trial_of(weight: float, **changes: Any) -> Trial:
    settings: dict[str, Any] = {"network": NETWORK, "batch": 48, "dtype": "float64"}
    return small_trial([row("rotation_prediction", RotationPrediction(weight=weight))], **(settings | changes))


@pytest.mark.parametrize("which", ["train", "all"])
def test_the_gradient_of_every_part_is_the_weighted_sum_of_those_of_the_tasks(which: str) -> None:
    """By plain autograd of an ordinary module, trunk and head, from weights at which the head answers something."""
    method = RotationPrediction(weight=0.75, pictures=which)
    recipe = [row("rotation_prediction", method)]
    trial = spare_trial(recipe, network=NETWORK, batch=48, dtype="float64", epochs=2, optimizer=PLAIN)
    splits = spare(trial)
    lane = Lane((trial,), data=splits)
    next(lane)
    before = {name: value.clone() for name, value in lane.state.params.items()}
    net = start_network(trial, lane.data).double()
    net.load_state_dict(without_heads(before), strict=False)
    next(lane)
    taken = {name: before[name] - value for name, value in lane.state.params.items()}
    order = orders(trial, 2)
    x, y = splits.train.images.double()[order], splits.train.labels[order]
    asked_for = x
    if which == "all":
        assert splits.unlabelled is not None
        places = Rng(seed=trial.seed, step=1, prefix="unlabelled/").places(LEFT, "places", (48,))
        asked_for = torch.cat([x, splits.unlabelled.images.double()[places]])
    head = {name: before[name].requires_grad_() for name in (f"{HEAD}.weight", f"{HEAD}.bias")}
    own = dict(net.named_parameters()) | head
    found = []
    for turn in range(4):  # the offset that was drawn is one of four
        turns = (torch.arange(len(asked_for)) + turn) % 4
        features = list[Tensor]()

        def told(signal: Tensor, slot: object, features: list[Tensor] = features) -> Tensor:
            features.append(signal)
            return signal

        classes = cross_entropy(net(x, told), y)
        net(turned(asked_for, turns), told)
        scores = features[-1] @ head[f"{HEAD}.weight"].T + head[f"{HEAD}.bias"]
        tasks = (classes, cross_entropy(scores, turns))
        parts = [
            torch.autograd.grad(loss, list(own.values()), allow_unused=True, materialize_grads=True) for loss in tasks
        ]
        found.append(max(float((taken[n] - (a + 0.75 * b)).abs().max()) for n, a, b in zip(own, *parts, strict=True)))
    assert own.keys() == taken.keys()
    assert min(found) < 1e-12
    assert sorted(found)[1] > 1e-6, "only one offset was drawn"


def orders(trial: Trial, epoch: int) -> Tensor:
    """Return in which order a trial sees its 48 examples in an epoch."""
    return Rng(seed=trial.seed, step=epoch, prefix="order/").permutation("epoch", 48)


def test_turns_are_learned_and_the_head_stays_at_home() -> None:
    trial = trial_of(1.0, epochs=30, batch=16, dtype="float32")
    lane = trained(trial)
    data, params = load_data(trial), lane.kept[0][0]
    assert f"{HEAD}.weight" in params
    x = data.train.images
    net = start_network(trial, data)
    net.load_state_dict(without_heads(params), strict=False)
    signals = list[Tensor]()

    def told(signal: Tensor, slot: object) -> Tensor:
        signals.append(signal)
        return signal

    with torch.no_grad():
        net(turned(x, torch.arange(48) % 4), told)
    scores = signals[-1] @ params[f"{HEAD}.weight"].T + params[f"{HEAD}.bias"]
    assert (scores.argmax(-1) == torch.arange(48) % 4).double().mean() > 0.5, "a quarter by chance"
    content = torch.load(io.BytesIO(weights_of(lane.kept[0], data)), weights_only=True)
    assert content["params"].keys() == dict(net.named_parameters()).keys()


def test_a_head_wants_features_and_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = trial_of(0.5, network={"name": "wide_resnet", "depth": 10, "width": 1}, dtype="float32")
    assert f"{HEAD}.weight" in Lane((wide,)).state.params, "it has hidden slots inside of branches only"
    net = start_network(trial_of(0.5), load_data(trial_of(0.5)))
    data = load_data(trial_of(0.5))
    tall = dataclasses.replace(data, train=Examples.of(images=torch.zeros(8, 1, 4, 5), labels=torch.zeros(8).long()))
    with pytest.raises(Refused, match="weight: expected square pictures, given 4 x 5; leave this method out"):
        RotationPrediction().check(net, tall)
    with pytest.raises(Refused, match="weight: expected a network with a hidden or features slot in front of its"):
        RotationPrediction().check(torch.nn.Linear(2, 2), data)


def test_trials_with_and_without_a_head_do_not_share_a_lane() -> None:
    with pytest.raises(Refused, match="its trials must agree in recipe"):
        Lane((trial_of(0.5), trial_of(0.0)))
