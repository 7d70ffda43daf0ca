"""Lanes: at one width the bits of a member are the same whatever its slot, its neighbours, and when it came."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_map

from regtune.core.errors import Refused
from regtune.core.knobs import knobs
from regtune.core.records import Json, Trial
from regtune.core.state import Tensors, TrainState, member
from regtune.data import DataLocation
from regtune.regularizers import HOOKS, REGULARIZERS, overrides
from regtune.training import lane as lane_module
from regtune.training.build import build_dataset, split_data
from regtune.training.lane import ENDING, Lane
from regtune.training.outcome import Evaluated, evaluated
from regtune.training.train_step import Stepped, TrainStep
from tests.conftest import METHODS, row, same, searched, small_trial, trained

End = tuple[Tensors, Tensors, list[Json]]
every_method = pytest.mark.parametrize("name", METHODS)
WIDTH = 5  # no multiple of what a processor takes at once
OWN: Json = {"name": "synthetic", "train": 48, "validation": 32, "test": 37, "noise": 0.6, "side": 6}


def other(name: str) -> Any:
    """Return the method at the other end of its space, with those knobs that a lane shares."""
    method, cls = searched(name), REGULARIZERS.all()[name]
    in_program = any(overrides(cls, hook) for hook in HOOKS if hook not in ("stop", "keep"))
    shared = {k.name: getattr(method, k.name) for k in knobs(cls).values() if in_program and k.kind is not float}
    return dataclasses.replace(searched(name, "high"), **shared)


def numbers_of(lane: Lane, place: int) -> list[Json]:
    return [epoch.numbers() for epoch in lane.epochs[place]]


def ends(lane: Lane, places: Sequence[int]) -> list[End]:
    """Train a lane until the trials of slots have ended; return the weights of each then, those kept, its epochs."""
    found = dict[int, End]()
    for _ in lane:
        for place in places:
            if lane.members[place].ended and place not in found:
                weights = (member(lane.state, place).params, lane.kept[place][0])
                params, kept = tree_map(torch.clone, weights)
                found[place] = (params, kept, numbers_of(lane, place))
        if len(found) == len(places):
            break
    return [found[place] for place in places]


def end(lane: Lane, place: int) -> End:
    return ends(lane, [place])[0]


def assert_same(one: End, two: End) -> None:
    assert one[2] == two[2]
    assert same(one[0], two[0])
    assert same(one[1], two[1])


@every_method
def test_slots_neighbours_refills_and_resumption_change_nothing(name: str) -> None:
    trial = small_trial([row(name, searched(name))], seed=5, epochs=4)
    near = [small_trial([row(name, other(name))], seed=seed, epochs=4) for seed in (6, 7, 8, 9, 10)]
    alone_in_it = end(Lane((trial,), width=WIDTH), 0)

    assert_same(end(Lane((*near[:3], trial, near[3])), 3), alone_in_it)

    refilled = Lane(near)
    next(refilled), next(refilled)
    refilled.release(4)
    refilled.replace(4, trial)
    assert_same(end(refilled, 4), alone_in_it)
    assert len(refilled.epochs[0]) == 4, "the neighbours were in epochs of their own"

    stopped = Lane((trial, *near[:4]))
    next(stopped)
    resumed = Lane(near)
    next(resumed)
    resumed.replace(2, trial)
    resumed.restore(2, stopped.checkpoint(0))
    assert_same(end(resumed, 2), alone_in_it)


@every_method
def test_a_narrower_lane_goes_on_with_the_same_bits(name: str) -> None:
    """Of every width from 2 on, on the processors that were seen; where not, a lane stays as it is."""

    def begun() -> Lane:
        lane = Lane([small_trial([row(name, searched(name))], seed=seed) for seed in range(9)])
        next(lane)
        return lane

    whole = begun()
    assert whole.narrowed([2, 0, 4, 7, 1]) is not None, "it is only looked at, and the whole one goes on"
    expected = ends(whole, [7, 2])
    for places in ([7, 2], [7, 7]):
        narrow = begun().narrowed(places)
        assert narrow is not None
        assert narrow.width == len(places)
        for _ in narrow:
            pass
        found = [(member(narrow.state, 0).params, narrow.kept[0][0], numbers_of(narrow, 0))]
        found += [(member(narrow.state, 1).params, narrow.kept[1][0], numbers_of(narrow, 1))] if places[1] == 2 else []
        for one, two in zip(found, expected, strict=False):
            assert_same(one, two)


def test_a_lane_is_not_narrowed_where_bits_would_change(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane([small_trial(seed=seed) for seed in range(5)])
    original = TrainStep.step

    def otherwise(step: TrainStep, state: TrainState, *given: Any, **more: Any) -> Stepped:
        found = original(step, state, *given, **more)
        off = 1e-7 if len(found.objective) < 5 else 0.0
        return found._replace(objective=found.objective + off)

    monkeypatch.setattr(TrainStep, "step", otherwise)
    before = tree_map(torch.clone, lane.state)
    assert lane.narrowed([1, 3]) is None
    assert same(lane.state.params, before.params), "it was only looked at"
    assert lane.narrowed([0, 1, 2, 3, 4]) is not None


@every_method
def test_a_slot_is_refilled_with_splits_of_its_own(name: str) -> None:
    def trial_of(seed: int) -> Trial:
        data = OWN | {"split_seed": seed, "label_noise": 0.2}
        return small_trial([row(name, searched(name))], seed=seed, phase="confirm", data=data, epochs=2)

    trials = [trial_of(seed) for seed in (1, 2, 3, 4)]
    pool = build_dataset(trials[0]).pool(DataLocation.from_environment())
    splits = [split_data(trial, pool) for trial in trials]
    whole = end(Lane(trials[:1], data=splits[:1], width=3), 0)
    lane = Lane(trials[1:], data=splits[1:])
    next(lane)
    lane.replace(1, trials[0], data=splits[0])
    assert_same(end(lane, 1), whole)
    assert whole[2][-1]["outcome"]["metrics"]["test_accuracy"] is not None


def test_an_idle_slot_yields_nothing_and_a_lane_of_idle_ones_is_over() -> None:
    trials = [small_trial(seed=seed, epochs=3) for seed in (1, 2)]
    lane = Lane(trials, width=4)
    assert [epoch is None for epoch in next(lane)] == [False, False, True, True]
    lane.release(0)
    assert [epoch is None for epoch in next(lane)] == [True, False, True, True]
    lane.release(1)
    assert list(lane) == []


def test_the_time_of_an_epoch_is_shared_among_those_that_train() -> None:
    trials = [small_trial(seed=seed, epochs=2) for seed in (1, 2)]
    lane = Lane(trials, width=4)
    first, second, *idle = next(lane)
    assert first is not None and second is not None
    assert idle == [None, None]
    assert first.seconds == second.seconds > 0


def test_only_what_is_alike_takes_a_slot() -> None:
    trial = small_trial(seed=1)
    lane = Lane((trial,), width=2)
    with pytest.raises(Refused, match="must agree in recipe"):
        lane.replace(1, small_trial([row("l2", searched("l2"))], seed=2))
    with pytest.raises(Refused, match="must agree in epochs"):
        lane.replace(1, small_trial(seed=2, epochs=9))
    with pytest.raises(Refused, match="checkpoint is of"):
        lane.restore(1, Lane((small_trial(seed=9),)).checkpoint())
    with pytest.raises(ValueError, match="a lane of one"):
        Lane((trial,)).replace(0, trial)


def test_those_that_end_together_are_evaluated_in_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each has the bits that it has when it ends by itself, also where another epoch than the last is kept."""
    passes = list[int]()

    def counted(*given: Any) -> list[Evaluated]:
        found = evaluated(*given)
        passes.append(len(found))
        return found

    monkeypatch.setattr(lane_module, "evaluated", counted)
    recipe = [row("early_stopping", searched("early_stopping"))]
    trials = [small_trial(recipe, seed=seed, phase="confirm", epochs=5) for seed in range(11)]
    together = Lane(trials)
    for _ in together:
        pass
    assert passes == [ENDING, ENDING, 3]
    assert {epochs[-1].kept == len(epochs) for epochs in together.epochs} == {False, True}
    for place in (0, 3, 10):
        by_itself = Lane(trials[place : place + 1], width=11)
        assert end(by_itself, 0)[2] == numbers_of(together, place)
        alone, last = trained(trials[place]).epochs[0][-1].outcome, together.epochs[place][-1].outcome
        assert alone is not None and last is not None
        assert alone.metrics.keys() == last.metrics.keys()
        assert alone.test_right is not None and last.test_right is not None


def members(names: Sequence[str], seed: int) -> Trial:
    return small_trial([row(name, searched(name)) for name in names], seed=seed, epochs=3)


def test_all_methods_at_once_in_a_lane() -> None:
    trials = [members(METHODS, seed) for seed in (1, 2, 3)]
    assert_same(end(Lane(trials), 2), end(Lane(trials[2:], width=3), 0))
