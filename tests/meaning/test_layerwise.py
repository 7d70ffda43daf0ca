"""A denoising autoencoder layer by layer: each layer learns alone, on what those below it make of whole pictures."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import plain_settings
from regtune.core.rng import Rng
from regtune.core.state import Tensors
from regtune.networks import NETWORKS, Bend, Slot, fresh
from regtune.networks.mlp import MLP
from regtune.regularizers import DenoisingAutoencoder, denoising_autoencoder
from regtune.regularizers._layers import cut
from regtune.regularizers._pretraining import learned
from regtune.training.lane import Lane
from tests.conftest import same
from tests.meaning.test_pretraining import NOISE, pictures, splits_of, trial_of


class TwoLinear(nn.Module):
    """Pictures [N, 1, 1, d] -> 4 -> 2 linear features, logits of those."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(d, 4), nn.Linear(4, 2), nn.Linear(2, 2)
        self.first, self.second = Slot("hidden"), Slot("hidden")
        for number, slot in enumerate((self.first, self.second), start=1):
            slot.number, slot.count = number, 2

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.second(self.two(self.first(self.one(x.flatten(1)), bend)), bend)
        logits: Tensor = self.head(h)
        return logits


class Around(TwoLinear):
    """What is in front of the second layer goes around it too, behind it."""

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.one(x.flatten(1))
        logits: Tensor = self.head(self.second(self.two(self.first(h, bend)) + h[:, :2], bend))
        return logits


class Beside(TwoLinear):
    """The pictures themselves go around the first layer, into the second."""

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.first(self.one(x.flatten(1)), bend) + x.flatten(1)[:, :4]
        logits: Tensor = self.head(self.second(self.two(h), bend))
        return logits


def left_of(whole: Tensor, codes: Tensor) -> float:
    """Return the mean squared error of the best linear decoder of codes."""
    best = torch.cat([codes, torch.ones(len(codes), 1)], 1)
    return float((whole - best @ torch.linalg.lstsq(best, whole).solution).square().sum(1).mean())


def discarded(whole: Tensor, width: int) -> float:
    """Return the sum of the eigenvalues of the covariance that so many features leave out."""
    eigenvalues = torch.linalg.eigvalsh(torch.cov(whole.T, correction=0))
    return float(eigenvalues[: whole.shape[1] - width].sum())


def test_each_linear_layer_reaches_the_sum_of_the_eigenvalues_that_it_discards() -> None:
    """P. Baldi, K. Hornik (1989), of the pictures and then of what the first layer makes of them."""
    x = pictures(200, 6)
    torch.manual_seed(0)
    net = TwoLinear(6).double()
    method = DenoisingAutoencoder(epochs=3000, corruption_level=0.0, learning_rate=1e-2, batch=200, layerwise=True)
    found = method.pretrain(net, splits_of(x), NOISE)
    assert found.examples == 2 * 3000 * 200, "epochs of each layer"
    flat = x.flatten(1)
    with torch.no_grad():
        first = net.one(flat)
        second = net.two(first)
    assert left_of(flat, first) == pytest.approx(discarded(flat, 4), rel=1e-3)
    assert left_of(first, second) == pytest.approx(discarded(first, 2), rel=1e-3)
    assert 0 < discarded(flat, 4) < 0.2 * discarded(flat, 2)
    assert 0 < discarded(first, 2) < 0.5 * discarded(first, 0)


@pytest.mark.parametrize(
    "network",
    [
        {"name": "mlp", "widths": [12, 12, 12], "residual": True, "batch_norm": True},
        {"name": "convnet", "channels": [3, 4]},
    ],
    ids=["mlp", "convnet"],
)
def test_one_layer_moves_at_a_time_and_the_last_never(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running statistics of layers that stay do not move either."""
    trial = trial_of(network=network)
    start = {**Lane((trial,)).state.params}
    moved: list[set[str]] = []
    net = fresh(NETWORKS.build(network, "network"), shape=(1, 6, 6), classes=2, seed=0)

    def watched(*args: Any, **settings: Any) -> int:
        before = {name: value.clone() for name, value in net.state_dict().items()}
        seen = learned(*args, **settings)
        moved.append({name for name, value in net.state_dict().items() if not torch.equal(value, before[name])})
        return seen

    monkeypatch.setattr(denoising_autoencoder, "learned", watched)
    x = torch.rand(40, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    method = DenoisingAutoencoder(epochs=2, batch=20, layerwise=True)
    assert method.pretrain(net, splits_of(x), NOISE).examples == 2 * 40 * len(moved)
    parts = [name.removesuffix("weight") for name in start if start[name].ndim > 1][:-1]
    assert len(moved) == len(parts)
    for part, names in zip(parts, moved, strict=True):
        layer = part.removesuffix("conv.")
        assert f"{part}weight" in names
        assert all(name.startswith(layer) for name in names)
        assert any("running_mean" in name for name in names)


def test_a_layer_makes_its_input_whole_again_out_of_a_damaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """First pictures, then what the first layer makes of whole pictures; each with a decoder of its own."""
    losses: list[Tensor] = []
    expected: list[Tensor] = []
    x, net = pictures(20, 6), TwoLinear(6).double()
    method = DenoisingAutoencoder(epochs=1, layerwise=True, corruption_level=0.5)

    def watched(loss: Any, parts: Any, *rest: Any, **settings: Any) -> int:
        decoder, step = parts[1], Rng(seed=1)
        with torch.no_grad():
            losses.append(loss(x, torch.arange(20), step))
            whole = net.one(x.flatten(1)) if expected else x
            layer = net.two if expected else net.one
            restored = decoder(layer(method.damaged(whole, step).flatten(1)))
            expected.append((restored - whole.flatten(1)).square().mean())
        return learned(loss, parts, *rest, **settings)

    monkeypatch.setattr(denoising_autoencoder, "learned", watched)
    method.pretrain(net, splits_of(x), NOISE)
    assert len(losses) == 2
    torch.testing.assert_close(losses, expected)


def test_layers_in_turn_learn_something_else_than_all_at_once_and_the_same_every_time() -> None:
    def begun(**knobs: Any) -> Tensors:
        return Lane((trial_of(DenoisingAutoencoder(epochs=2, **knobs)),)).state.params

    assert same(begun(layerwise=True), begun(layerwise=True))
    assert not same(begun(layerwise=True), begun())
    pair = Lane([trial_of(DenoisingAutoencoder(epochs=2, layerwise=True), seed=seed) for seed in (7, 8)])
    assert same({name: value[0] for name, value in pair.state.params.items()}, begun(layerwise=True))


def test_the_default_is_what_was_pretrained_before() -> None:
    """The seed of pretraining hangs on these settings: those of logs from before the knob are as they were."""
    before = {
        "epochs": 20,
        "noise": "masking",
        "corruption_level": 0.3,
        "learning_rate": 0.001,
        "batch": 100,
        "pictures": "all",
    }
    method = DenoisingAutoencoder()
    assert method.pretraining_key() == plain_settings(method) == before
    assert list(before) == list(plain_settings(method))
    assert dataclasses.replace(method, layerwise=True).pretraining_key() == {**before, "layerwise": True}


@pytest.mark.parametrize(
    ("net", "given"),
    [
        (fresh(NETWORKS.build({"name": "resnet"}, "network"), shape=(1, 8, 8), classes=2, seed=0), "19 layers between"),
        (fresh(MLP(widths=()), shape=(1, 8, 8), classes=2, seed=0), "no layer but the last"),
        (Around(64), "what is in front of hidden1 reaches hidden2 around it"),
        (Beside(64), "what is in front of hidden1 reaches hidden2 around it"),
    ],
    ids=["resnet", "linear", "around", "beside"],
)
def test_networks_that_slots_do_not_cut_into_layers_are_refused(net: nn.Module, given: str) -> None:
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    with pytest.raises(Refused, match=rf"^layerwise: expected .* given one .*{given}.*set it to false") as said:
        cut(net, torch.rand(2, 1, 8, 8))
    assert "\n" not in str(said.value)
    assert same(buffers, dict(net.named_buffers()))


def test_a_trial_says_which_knob_is_refused() -> None:
    where = r"recipe\.denoising_autoencoder\.layerwise: expected a network with a hidden slot behind each layer"
    with pytest.raises(Refused, match=where):
        Lane((trial_of(DenoisingAutoencoder(epochs=1, layerwise=True), network={"name": "resnet", "depth": 8}),))
