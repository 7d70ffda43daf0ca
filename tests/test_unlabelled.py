"""The laws, for every method that learns from pictures without labels at each step, where there are some."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from regtune.core.errors import Refused
from regtune.core.knobs import knobs
from regtune.core.records import Json, Trial
from regtune.core.rng import Rng
from regtune.data import Splits
from regtune.execution.rehearsal import rehearse_trial
from regtune.regularizers import REGULARIZERS, Forward, RotationPrediction
from regtune.regularizers.random_crop import RandomCrop
from regtune.reports.tables.caption import BESIDE
from regtune.training.build import split_data
from regtune.training.lane import Lane
from regtune.training.train_step import TrainStep
from regtune.training.trainer import train
from tests.conftest import METHODS, neutral, row, same, searched, small_trial, trained
from tests.unlabelled import LEFT, WANTING, spare, spare_pool, spare_trial, wanting

every_wanting = pytest.mark.parametrize("name", WANTING)
CROP: Json = row("random_crop", RandomCrop(padding=1.0))


def test_those_that_may_want_are_those_that_captions_name() -> None:
    assert tuple(WANTING) == BESIDE
    for name in METHODS:
        given = {"pictures": "train"} if name in WANTING else {}
        assert not dataclasses.replace(searched(name), **given).wants_unlabelled(), "at the default none wants any"


def lane_of(trials: Sequence[Trial], *, own: bool = False, **settings: Any) -> Lane:
    """Return a lane of trials whose splits leave pictures without labels, of all or each its own."""
    data: Splits | list[Splits] = [spare(trial) for trial in trials] if own else spare(trials[0])
    if own:
        pool = spare_pool()
        data = [split_data(trial, pool) for trial in trials]
    return Lane(trials, data=data, **settings)


def ended(lane: Lane) -> Lane:
    for _ in lane:
        pass
    return lane


@every_wanting
def test_without_weight_it_is_bitwise_the_single_task(name: str) -> None:
    """The pictures are drawn and augmented all the same: those with labels see other draws."""
    idle = dataclasses.replace(neutral(name), pictures="all")  # type: ignore[call-arg]  # those that want have it
    trials = [spare_trial([CROP, *more], seed=3) for more in ([row(name, idle)], [])]
    ours, plain = (trained(trial, spare(trial)) for trial in trials)
    assert same(ours.state.params, plain.state.params)
    assert [e.numbers() for e in ours.epochs[0]] == [e.numbers() for e in plain.epochs[0]]


@every_wanting
def test_the_pictures_change_what_is_learned_and_only_where_they_are_wanted(name: str) -> None:
    train = searched(name)
    ours, others = (spare_trial([row(name, one)], seed=3) for one in (wanting(name), train))
    assert not same(trained(ours, spare(ours)).state.params, trained(others, spare(others)).state.params)
    none = dataclasses.replace(spare(others), unlabelled=None)
    assert same(trained(others, none).state.params, trained(others, spare(others)).state.params)


@every_wanting
def test_resume_is_bitwise(name: str) -> None:
    trial = spare_trial([CROP, row(name, wanting(name))], optimizer="adamw")
    whole, first = trained(trial, spare(trial)), lane_of([trial])
    for _ in range(2):
        next(first)
    second = ended(lane_of([trial], resume=first.checkpoint()))
    assert same(second.state.params, whole.state.params)
    assert [e.numbers() for e in second.epochs[0]] == [e.numbers() for e in whole.epochs[0]]


def fresh(recipe: list[Json], seed: int, *, own: bool) -> Trial:
    """Return a trial of a lane, where each has its own splits one of confirm."""
    trial = spare_trial(recipe, seed=seed, epochs=3)
    if not own:
        return trial
    return dataclasses.replace(trial, phase="confirm", data=trial.data | {"split_seed": seed})


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own_splits"])
@every_wanting
def test_neighbours_in_a_lane_change_nothing(name: str, own: bool) -> None:
    def members(seeds: Sequence[int], end: str) -> Lane:
        others = [fresh([CROP, row(name, wanting(name, end))], seed, own=own) for seed in seeds]
        return ended(lane_of([fresh([CROP, row(name, wanting(name))], 5, own=own), *others], own=own))

    one, two = members((6, 7), "low"), members((8, 9), "high")
    assert all(torch.equal(one.state.params[n][0], two.state.params[n][0]) for n in one.state.params)
    assert [e.numbers() for e in one.epochs[0]] == [e.numbers() for e in two.epochs[0]]
    assert not torch.equal(one.state.params["head.weight"][1], two.state.params["head.weight"][1])


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own_splits"])
@every_wanting
def test_a_lane_member_is_its_trial_alone(name: str, own: bool) -> None:
    trials = [fresh([CROP, row(name, wanting(name))], seed, own=own) for seed in (1, 2, 3)]
    lane = ended(lane_of(trials, own=own))
    for place, trial in enumerate(trials):
        alone = trained(trial, spare(trial))
        for parameter, value in alone.state.params.items():
            torch.testing.assert_close(lane.state.params[parameter][place], value, rtol=1e-4, atol=1e-5)


def test_a_trial_that_takes_a_slot_draws_from_its_own_pictures() -> None:
    trials = [fresh([row("rotation_prediction", wanting("rotation_prediction"))], seed, own=True) for seed in (1, 2, 3)]
    lane = lane_of(trials[:2], own=True)
    next(lane)
    lane.replace(1, trials[2], data=spare(trials[2]))
    ended(lane)
    begun = ended(lane_of([trials[0], trials[2]], own=True))
    assert all(torch.equal(lane.state.params[n][1], begun.state.params[n][1]) for n in lane.state.params)


def drawn_by(monkeypatch: pytest.MonkeyPatch, recipe: list[Json], seeds: Sequence[int], *, own: bool = False) -> Tensor:
    """Return the pictures without labels of each step of an epoch [steps, (members,) N, C, H, W]."""
    found: list[Tensor] = []
    original = TrainStep.step

    def spy(self: TrainStep, *arguments: Any) -> Any:
        found.append(arguments[7].clone())
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "step", spy)
        next(lane_of([fresh(recipe, seed, own=own) for seed in seeds], own=own))
    return torch.stack(found)


def test_one_seed_gives_every_arm_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    rotation, contrastive = (row(name, wanting(name)) for name in ("rotation_prediction", "contrastive"))
    ours = drawn_by(monkeypatch, [rotation], [3])
    assert ours.shape == (3, 16, 1, 8, 8)
    assert torch.equal(ours, drawn_by(monkeypatch, [row("mixup", searched("mixup")), CROP, contrastive], [3]))
    assert torch.equal(ours, drawn_by(monkeypatch, [rotation], [4, 3, 5])[:, 1])
    other = drawn_by(monkeypatch, [rotation], [4])
    assert not torch.equal(ours, other)
    assert not torch.equal(ours[0], ours[1]), "each step draws anew"
    mine = drawn_by(monkeypatch, [rotation], [4, 3], own=True)[:, 1]
    assert torch.equal(mine, drawn_by(monkeypatch, [rotation], [3], own=True))


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own_splits"])
def test_the_pictures_are_those_in_no_split_and_in_memory_once(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = [row("rotation_prediction", wanting("rotation_prediction"))]
    trials = [fresh(recipe, seed, own=own) for seed in (1, 2)]
    found = drawn_by(monkeypatch, recipe, [1, 2], own=own)
    for place, trial in enumerate(trials):
        splits = spare(trial if own else trials[0])
        assert splits.unlabelled is not None
        left = {picture.numpy().tobytes() for picture in splits.unlabelled.images}
        seen = {picture.numpy().tobytes() for picture in found[:, place].flatten(0, 1)}
        assert seen <= left
        used = {picture.numpy().tobytes() for part in (splits.train, splits.validation) for picture in part.images}
        assert not seen & used
    pool = spare_pool()
    data = [split_data(trial, pool) for trial in trials] if own else split_data(trials[0], pool)
    lane = Lane(trials, data=data)
    held = lane._data.unlabelled
    assert held is not None
    assert held.source is lane.data.train.source
    assert not own or held.source is pool.train.source
    plain = Lane([dataclasses.replace(trial, recipe=()) for trial in trials], data=data)
    assert plain._data.unlabelled is None, "nobody wants them"


def test_pictures_are_augmented_like_the_inputs_by_draws_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Forward] = []
    original = RotationPrediction.penalty

    def noted(self: RotationPrediction, step: Forward) -> Any:
        seen.append(step)
        return original(self, step)

    recipe = [CROP, row("rotation_prediction", wanting("rotation_prediction"))]
    raw = drawn_by(monkeypatch, recipe, [3])
    with monkeypatch.context() as patch:
        patch.setattr(RotationPrediction, "penalty", noted)
        next(lane_of([fresh(recipe, 3, own=False)]))
    trial = spare_trial()
    crop = RandomCrop(padding=1.0)
    for number, step in enumerate(seen):
        noise = Rng(seed=3, step=number, prefix="step/unlabelled/random_crop.0/")
        moved, _ = crop.augment(raw[number], torch.zeros(16, 10), dataclasses.replace(step, noise=noise))
        assert step.unlabelled is not None
        assert torch.equal(step.unlabelled, moved)
        assert not torch.equal(moved, raw[number])
        assert len(step.inputs) == trial.batch


@every_wanting
def test_data_that_leave_no_pictures_are_refused_with_the_remedy(name: str) -> None:
    trial = spare_trial([row(name, wanting(name))])
    none = dataclasses.replace(spare(trial), unlabelled=None)
    with pytest.raises(Refused, match=f"{name}.pictures: expected pictures that are in no split.* lower train, or set"):
        Lane((trial,), data=none)
    ended(Lane((trial,), data=dataclasses.replace(none, few=True)))


def test_members_that_are_left_other_numbers_of_pictures_are_refused() -> None:
    trials = [fresh([row("contrastive", wanting("contrastive"))], seed, own=True) for seed in (1, 2)]
    one, other = (spare(trial) for trial in trials)
    assert other.unlabelled is not None
    fewer = dataclasses.replace(other, unlabelled=other.unlabelled.first(100))
    with pytest.raises(Refused, match=f"as many pictures without labels of each member, given 100 and {LEFT}; train"):
        Lane(trials, data=[one, fewer])


def test_trials_with_and_without_pictures_do_not_share_a_lane() -> None:
    recipes = [[row("contrastive", method)] for method in (wanting("contrastive"), searched("contrastive"))]
    with pytest.raises(Refused, match="its trials must agree in recipe"):
        lane_of([spare_trial(recipe) for recipe in recipes])


@every_wanting
def test_a_rehearsal_takes_few_of_the_pictures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    cls = REGULARIZERS.all()[name]
    original = cls.penalty

    def noted(self: Any, step: Forward) -> Any:
        sizes.append((len(step.inputs), 0 if step.unlabelled is None else len(step.unlabelled)))
        return original(self, step)

    monkeypatch.setattr(cls, "penalty", noted)
    trial = spare_trial([row(name, wanting(name))])
    rehearse_trial(trial, spare(trial), "arms.ours")
    rehearse_trial(trial, dataclasses.replace(spare(trial), unlabelled=None), "arms.ours")
    assert {count for count, _ in sizes} == {count for _, count in sizes} - {0}
    assert 0 in {count for _, count in sizes}


def test_a_compiled_trial_and_lane_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the tracing half of the compiler, as in tests/test_arithmetic.py."""
    graphs: list[Any] = []
    original = torch.compile

    def traced(function: Any, *, fullgraph: bool, dynamic: bool) -> Any:
        def counted(graph: Any, inputs: list[Tensor]) -> Any:
            graphs.append(graph)
            return graph

        return original(function, fullgraph=fullgraph, dynamic=dynamic, backend=counted)

    monkeypatch.setattr(torch, "compile", traced)
    recipe = [CROP, row("rotation_prediction", wanting("rotation_prediction"))]
    settings: dict[str, Any] = {"epochs": 1, "network": {"name": "mlp", "widths": [12]}}
    one, other = (spare_trial(recipe, compiled=compiled, **settings) for compiled in (True, False))
    ours, theirs = (list(train(trial, data=spare(trial))) for trial in (one, other))
    assert [e.objective for e in ours] == pytest.approx([e.objective for e in theirs], rel=1e-4)
    assert len(graphs) == 1
    lanes = [ended(lane_of([dataclasses.replace(trial, seed=seed) for seed in (1, 2, 3)])) for trial in (one, other)]
    compiled, eager = ([e.objective for e in lane.epochs[1]] for lane in lanes)
    assert compiled == pytest.approx(eager, rel=1e-4)
    assert len(graphs) > 1


def test_the_default_is_not_written_so_trials_of_before_keep_their_ids() -> None:
    for name in WANTING:
        assert knobs(REGULARIZERS.all()[name])["pictures"].late
        assert "pictures" not in row(name, searched(name))
    # As printed by the version before, the loss on another machine maybe: to rounding.
    trial = small_trial([CROP, row("rotation_prediction", searched("rotation_prediction"))], seed=1)
    assert trial.id == "bff1c3bc45dd"
    assert trained(trial).epochs[0][-1].val_loss == pytest.approx(1.2858460813888235, rel=1e-4)
