"""Pretraining: what is learned is what the task asks for, is shared by trials that ask for the same, and is counted."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regtune.core.records import Trial
from regtune.core.registry import name_of
from regtune.core.rng import Rng
from regtune.data import DataLocation, Examples, Splits
from regtune.networks import Bend, Slot
from regtune.regularizers import (
    REGULARIZERS,
    Contrastive,
    DenoisingAutoencoder,
    Pretrained,
    Regularizer,
    RotationPretraining,
)
from regtune.training import pretraining
from regtune.training.build import load_data, load_pool, split_data, start_network
from regtune.training.lane import Lane
from regtune.training.recipe import Recipe
from tests.conftest import row, same, small_trial, trained

NOISE = Rng(seed=3, prefix="pretraining/")
PRETRAINS = [name for name, cls in REGULARIZERS.all().items() if "pretrain" in vars(cls)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which pretrained weights are kept."""
    monkeypatch.delenv("REGTUNE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "regtune" / "pretrained"


def trial_of(*methods: Regularizer, **changes: Any) -> Trial:
    recipe = [row(name_of(type(one)), one) for one in methods]
    return small_trial(recipe, **({"network": {"name": "mlp", "widths": [12, 12]}} | changes))


class Linear(nn.Module):
    """Pictures [N, 1, 1, d] -> `width` linear features, logits of those."""

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.encoder, self.slot, self.head = nn.Linear(d, width), Slot("features"), nn.Linear(width, 2)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        logits: Tensor = self.head(self.slot(self.encoder(x.flatten(1)), bend))
        return logits


def pictures(count: int, d: int) -> Tensor:
    """Return centred numbers [N, 1, 1, d] with variances that differ, for pictures."""
    generator = torch.Generator().manual_seed(0)
    rotation: Tensor = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))[0]
    scales = torch.tensor([1.0, 0.8, 0.3, 0.2, 0.1, 0.05][:d], dtype=torch.float64)
    flat: Tensor = (torch.randn(count, d, generator=generator, dtype=torch.float64) * scales) @ rotation
    return (flat - flat.mean(0))[:, None, None]


def splits_of(images: Tensor) -> Splits:
    some = Examples.of(images=images, labels=torch.arange(len(images)) % 2)
    return Splits(train=some, validation=some, test=None, classes=2)


def test_a_linear_autoencoder_reaches_the_sum_of_the_discarded_eigenvalues() -> None:
    """The denoising_autoencoder without damage: P. Baldi, K. Hornik (1989), by eigenvalues of the covariance."""
    x, width = pictures(200, 6), 2
    net = Linear(6, width).double()
    method = DenoisingAutoencoder(epochs=3000, corruption_level=0.0, learning_rate=1e-2, batch=200)
    found = method.pretrain(net, splits_of(x), NOISE)
    assert found.examples == 3000 * 200
    flat = x.flatten(1)
    codes = found.net.encoder(flat).detach()  # type: ignore[operator]  # a layer of ours
    best = torch.cat([codes, torch.ones(200, 1)], 1)  # the best linear decoder of these codes
    left = flat - best @ torch.linalg.lstsq(best, flat).solution
    eigenvalues = torch.linalg.eigvalsh(torch.cov(flat.T, correction=0))
    discarded = float(eigenvalues[: 6 - width].sum())
    assert float(left.square().sum(1).mean()) == pytest.approx(discarded, rel=1e-3)
    assert discarded < 0.5 * float(eigenvalues.sum())


@pytest.mark.parametrize("noise", ["masking", "gaussian", "salt_and_pepper"])
def test_pictures_are_damaged_by_as_much_as_is_said(noise: str) -> None:
    x = torch.full((50, 1, 20, 20), 0.25)
    damaged = DenoisingAutoencoder(noise=noise, corruption_level=0.3).damaged(x, NOISE)
    assert torch.equal(DenoisingAutoencoder(noise=noise, corruption_level=0.0).damaged(x, NOISE), x)
    if noise == "gaussian":
        assert float((damaged - x).std()) == pytest.approx(0.3, rel=0.03)
        return
    assert float((damaged != x).double().mean()) == pytest.approx(0.3, abs=0.01)
    values = {"masking": {0.0, 0.25}, "salt_and_pepper": {0.0, 0.25, 1.0}}[noise]
    assert set(damaged.flatten().tolist()) == {float(torch.tensor(value)) for value in values}
    if noise == "salt_and_pepper":
        assert float((damaged == 1).double().mean()) == pytest.approx(0.15, abs=0.01)


def test_turns_are_told_after_rotation_pretraining() -> None:
    """A linear readout of the features knows the turns of the pictures, of those at the start less well."""
    trial = trial_of(data={"name": "synthetic", "train": 48, "side": 6, "noise": 0.3}, network={"name": "mlp"})
    data = load_data(trial)
    before = start_network(trial, data)
    after = RotationPretraining(epochs=60).pretrain(start_network(trial, data), data, NOISE)
    assert after.examples == 4 * 60 * 32, "a batch of 32 of 48 pictures, four turns of each"
    x = torch.cat([torch.rot90(data.validation.images, turn, (2, 3)) for turn in range(4)])
    turns = torch.arange(4).repeat_interleave(len(data.validation))

    def read(net: nn.Module) -> float:
        found: list[Tensor] = []

        def bend(signal: Any, slot: Slot) -> Any:
            found.append(signal)
            return signal

        with torch.no_grad():
            net(x, bend)
        codes = torch.cat([found[-1].double(), torch.ones(len(x), 1)], 1)
        answers = codes @ torch.linalg.lstsq(codes, nn.functional.one_hot(turns, 4).double()).solution
        return float((answers - nn.functional.one_hot(turns, 4)).square().mean())

    assert read(after.net) < 0.7 * read(before)


@pytest.mark.parametrize("name", PRETRAINS)
def test_a_pretrained_trial_begins_with_what_was_learned(name: str) -> None:
    method = REGULARIZERS.all()[name](epochs=3)  # type: ignore[call-arg]  # each has that knob
    trial = trial_of(method)
    data = load_data(trial)
    lane = Lane((trial,))
    plain = Lane((trial_of(),))
    assert not same(lane.state.params, plain.state.params)
    assert lane.state.params.keys() == plain.state.params.keys(), "no head or decoder stays"
    found, cost = pretraining.pretrained(Recipe.of([method]), start_network(trial, data), data.without_test())
    assert same(dict(found.state_dict()), dict(lane.state.params) | dict(lane.state.buffers))
    assert cost.key and cost.examples > 0


@pytest.mark.parametrize("name", PRETRAINS)
def test_pretraining_is_done_once_for_all_that_ask_for_the_same(name: str, cache: Path) -> None:
    cls, calls = REGULARIZERS.all()[name], 0
    original = cls.pretrain

    def counted(self: Regularizer, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        nonlocal calls
        calls += 1
        return original(self, net, data, noise)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "pretrain", counted)
        first, again = (trained(trial_of(cls(epochs=2))) for _ in range(2))  # type: ignore[call-arg]  # each has that knob
        assert calls == 1
        assert same(first.kept[0][0], again.kept[0][0])
        notes = [lane.epochs[0][0] for lane in (first, again)]
        assert notes[0].pretrained == notes[1].pretrained != ""
        assert notes[0].pretraining_seconds == notes[1].pretraining_seconds > 0, "what it took once"
        assert not first.epochs[0][1].pretrained, "only the first epoch says so"
        rate = {"name": "sgd", "learning_rate": 0.001, "momentum": 0.9}
        trained(trial_of(cls(epochs=2), optimizer=rate))  # type: ignore[call-arg]
        assert calls == 1, "the knobs of what follows do not count"
        for changes in ({"seed": 8}, {"data": {"name": "synthetic", "train": 40}}):
            trained(trial_of(cls(epochs=2), **changes))  # type: ignore[call-arg]
        trained(trial_of(cls(epochs=3)))  # type: ignore[call-arg]
        assert calls == 4
        (file, *_) = cache.glob(f"{notes[0].pretrained}.pt")
        file.write_bytes(file.read_bytes()[:100])
        with pytest.warns(UserWarning, match=r"damaged \(.*\), written again"):
            repaired = trained(trial_of(cls(epochs=2)))  # type: ignore[call-arg]
        assert calls == 5
        assert same(first.kept[0][0], repaired.kept[0][0])


def ask(folder: str, start: Any, results: Any) -> None:
    """Ask for a pretraining from a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        torch.set_num_threads(1)
        start.wait()
        epoch = trained(trial_of(DenoisingAutoencoder(epochs=30))).epochs[0][0]
        results.put((epoch.pretrained, epoch.pretraining_seconds))


def test_of_two_processes_that_ask_at_once_one_trains(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=ask, args=(str(tmp_path / "cache"), start, results)) for _ in range(2)]
    for process in both:
        process.start()
    found = [results.get(timeout=120) for _ in both]
    for process in both:
        process.join()
    assert found[0] == found[1], "the seconds of one"


def test_what_is_drawn_afterwards_does_not_hang_on_whether_it_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projection of contrastive is drawn from torch's global state, in which pretraining leaves no trace."""
    both = (RotationPretraining(epochs=1), Contrastive(weight=0.5, padding=1.0))
    lanes = [Lane((trial_of(*both),)) for _ in range(2)]
    assert same(lanes[0].state.params, lanes[1].state.params)
    other = Lane((trial_of(RotationPretraining(epochs=2), both[1]),))
    name = "auxiliary_heads.contrastive.hidden.weight"
    assert torch.equal(lanes[0].state.params[name], other.state.params[name])


def test_where_nothing_can_be_written_every_trial_trains_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = trained(trial_of(DenoisingAutoencoder(epochs=2)))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    alone = trained(trial_of(DenoisingAutoencoder(epochs=2)))
    assert same(kept.kept[0][0], alone.kept[0][0])


def test_all_pictures_are_those_in_no_other_split_without_their_labels() -> None:
    trial = trial_of(data={"name": "digits", "train": 100, "validation": 50})
    pool = load_pool(trial, DataLocation())
    digits = split_data(trial, pool)
    assert digits.unlabelled is None, "what training and validation leave of them is the test split"
    own = dataclasses.replace(pool, test=pool.train.take(torch.arange(1700, 1797)).compact())
    own = dataclasses.replace(own, train=pool.train.take(torch.arange(1700)))
    splits = split_data(trial, own)
    left = splits.unlabelled
    assert left is not None
    assert len(left) == 1550
    assert set(left.labels.tolist()) == {-1}
    used = torch.cat([splits.train.index, splits.validation.index, left.index])
    assert used.sort().values.equal(torch.arange(1700))
    few = trained(trial_of(DenoisingAutoencoder(epochs=1), data=trial.data), data=splits).epochs[0][0]
    some = trained(trial_of(DenoisingAutoencoder(epochs=1, pictures="train"), data=trial.data), data=splits)
    assert (few.pretraining_examples, some.epochs[0][0].pretraining_examples) == (1600, 100)
