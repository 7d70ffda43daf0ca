"""What a user's code draws from global random states repeats, resumes, and leaves the caller's states alone."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from regtune.core.errors import Refused
from regtune.core.global_rng import GlobalStates, seed_all, seeded
from regtune.core.records import Json, Trial
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.trainer import Training, train
from tests.conftest import same, small_trial

PLUGINS = ("tests.plugin_noise",)


def wild(inside: str = "none", recipe: tuple[Json, ...] = (), **changes: Any) -> Trial:
    settings: dict[str, Any] = {"network": {"name": "wild", "inside": inside}, "plugins": PLUGINS, "epochs": 3}
    return small_trial(recipe, **(settings | changes))


def noisy(source: str) -> Trial:
    return wild(recipe=({"name": "pixel_noise", "source": source},))


def disturbed(number: int) -> GlobalStates:
    """Put the global states of this process somewhere and return where."""
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)
    return GlobalStates.now()


TRIALS = {
    "nn.Dropout": wild("dropout"),
    "dropout in evaluation": wild("dropout_always"),
    "numpy in a network": wild("numpy"),
    "random in a network": wild("random"),
    "torch in a method": noisy("torch"),
    "numpy in a method": noisy("numpy"),
    "random in a method": noisy("random"),
    "before the first step": wild(recipe=({"name": "noisy_start"},)),
    "BatchNorm and dropout": wild(network={"name": "wild", "inside": "dropout", "batch_norm": True}),
    "a second training": wild("dropout", phase="confirm", retrain="epochs"),
    "a data set": wild(data={"name": "homemade", "train": 48, "validation": 32}),
    "float64": wild("dropout", dtype="float64"),
}


@pytest.mark.parametrize("what", TRIALS)
def test_a_trial_repeats_whatever_the_global_states_are_and_leaves_them_as_they_were(what: str) -> None:
    runs = []
    for number in (1, 2):
        before = disturbed(number)
        runs.append([epoch.numbers() for epoch in train(TRIALS[what])])
        assert GlobalStates.now().other_than(before) == []
    assert runs[0] == runs[1]


@pytest.mark.parametrize("what", TRIALS)
def test_a_resumed_trial_is_the_undisturbed_one(what: str) -> None:
    trial = TRIALS[what]
    disturbed(1)
    whole = Training(trial)
    first = [next(whole).numbers()]
    saved = whole.checkpoint()
    first += [epoch.numbers() for epoch in whole]
    disturbed(2)
    again = Training(trial, resume=saved)
    assert [epoch.numbers() for epoch in again] == first[1:]
    assert again.weights() == whole.weights()


@pytest.mark.parametrize("what", [name for name in TRIALS if name not in ("a data set", "dropout in evaluation")])
def test_the_noise_is_there(what: str) -> None:
    """Without it the first epoch is another one."""
    trial = TRIALS[what]
    quiet = replace(trial, recipe=(), network=trial.network | {"inside": "none"})
    assert next(train(trial)).val_loss != next(train(quiet)).val_loss


def test_each_step_has_noise_of_its_own_and_draws_of_one_move_no_other() -> None:
    draws = {}
    for seed, use, step in itertools.product((-1, 0, 1), ("step", "evaluation"), range(20)):
        seed_all(seed, use, step)
        draws[seed, use, step] = (torch.rand(3).tolist(), np.random.rand(), random.random())
    for part in range(3):
        assert len({str(draw[part]) for draw in draws.values()}) == len(draws)
    seed_all(1, "step", 3)
    torch.rand(1000), np.random.rand(7), random.random()
    seed_all(1, "step", 4)
    assert (torch.rand(3).tolist(), np.random.rand(), random.random()) == draws[1, "step", 4]


def test_states_come_back_also_behind_an_error() -> None:
    before = disturbed(3)
    torch.randn(1), np.random.randn(1), random.gauss(0, 1)  # both have a second normal draw in store
    begun = GlobalStates.now()
    assert begun.other_than(before) == ["torch", "numpy", "random"]
    with pytest.raises(KeyError), seeded(1, "test"):
        torch.rand(1), np.random.rand(), random.random()
        raise KeyError
    assert GlobalStates.now().other_than(begun) == []
    with pytest.raises(KeyError):
        next(train(wild(recipe=({"name": "wrong", "what": "raises"},))))
    assert GlobalStates.now().other_than(begun) == []


@pytest.mark.parametrize(
    ("trial", "source"),
    [
        (wild("dropout"), "torch"),
        (wild("numpy"), "numpy"),
        (noisy("random"), "random"),
        (noisy("torch"), "torch"),
        (wild("dropout_always"), "torch"),
    ],
)
def test_a_lane_of_several_refuses_noise_that_its_members_would_share(trial: Trial, source: str) -> None:
    before = disturbed(4)
    with pytest.raises(Refused) as refused:
        next(Lane([trial, replace(trial, seed=8)]))
    assert f"the global state of {source}, which 2 trials would share; train them one by one" in str(refused.value)
    assert GlobalStates.now().other_than(before) == []


@pytest.mark.parametrize("recipe", [({"name": "noisy_start"},), ({"name": "pixel_noise", "source": "step"},)])
def test_draws_before_the_first_step_and_from_step_noise_do_not_depend_on_neighbours(recipe: tuple[Json]) -> None:
    lanes = []
    for number, seeds in enumerate(((1, 2), (3, 2))):
        disturbed(number)
        lanes.append(Lane([wild(recipe=recipe, seed=seed, epochs=2) for seed in seeds]))
        for _ in lanes[-1]:
            pass
    assert same(lanes[0].kept[1][0], lanes[1].kept[1][0])
    assert not same(lanes[0].kept[0][0], lanes[1].kept[0][0])


def test_a_data_set_that_draws_is_the_same_in_every_process_and_splits_by_its_seed() -> None:
    trial = TRIALS["a data set"]
    found = []
    for number, seed in ((1, 0), (2, 0), (3, 1)):
        before = disturbed(number)
        found.append(load_data(replace(trial, data=trial.data | {"split_seed": seed})))
        assert GlobalStates.now().other_than(before) == []
    assert torch.equal(found[0].train.images, found[1].train.images)
    assert torch.equal(found[0].train.source, found[2].train.source)
    assert not torch.equal(found[0].train.index, found[2].train.index)


def test_a_data_set_cannot_augment_by_itself_since_phases_would_differ() -> None:
    trial = wild(data={"name": "homemade", "train": 48, "validation": 32, "moving": True})
    with pytest.raises(Refused, match=r"expected Examples as they are, given Moving; .* the hook augment"):
        train(trial)


def test_loaded_weights_are_kept_on_request_and_drawn_anew_without() -> None:
    generator = torch.Generator().manual_seed(5)
    settings = {"name": "pretrained", "init": "keep"}
    kept = [Lane((wild(network=settings, seed=seed),)).state.params for seed in (1, 2)]
    layer = torch.rand(kept[0]["layer.weight"].shape, generator=_skipped(generator, kept[0]))
    assert torch.equal(kept[0]["layer.weight"], layer)
    assert same(kept[0], kept[1])
    drawn = [Lane((wild(network={"name": "pretrained"}, seed=seed),)).state.params for seed in (1, 2)]
    assert not torch.equal(drawn[0]["layer.weight"], layer)
    assert not same(drawn[0], drawn[1])


def _skipped(generator: torch.Generator, params: dict[str, torch.Tensor]) -> torch.Generator:
    """Return the generator behind what the network loads before its first layer: mean and std of `Normalize`."""
    torch.rand((1, 1, 1), generator=generator), torch.rand((1, 1, 1), generator=generator)
    return generator


def test_a_network_of_regtune_that_keeps_what_torch_draws_has_its_weights_from_the_seed() -> None:
    """Also random features, which draw themselves, are drawn."""
    for name in ("mlp", "random_features"):
        states = []
        for number, seed in ((1, 1), (2, 1), (3, 2)):
            disturbed(number)
            states.append(Lane((small_trial(network={"name": name, "init": "keep"}, seed=seed),)).state)
        assert same(states[0].params, states[1].params)
        assert not same(states[0].params, states[2].params)
        assert all(bool(b.any()) for b in states[0].buffers.values())
