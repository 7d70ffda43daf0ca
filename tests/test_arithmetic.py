"""How a network is computed: bfloat16, channels-last, compiled. Each trains, and none changes what is meant."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.regularizers import REGULARIZERS, overrides
from regtune.training.lane import Lane
from regtune.training.trainer import train
from tests.conftest import METHODS, row, same, searched, small_trial

COMPILED = [name for name in METHODS if any(overrides(REGULARIZERS.all()[name], hook) for hook in ("bend", "penalty"))]


def learned(**settings: Any) -> float:
    """Return the validation accuracy after eight epochs; chance is a quarter."""
    *_, last = train(small_trial(epochs=8, **settings))
    assert last.outcome is not None
    assert last.outcome.status == "ok"
    assert last.val_accuracy is not None
    return last.val_accuracy


@pytest.mark.parametrize("setting", ["autocast", "channels_last"])
@pytest.mark.parametrize("network", [{"name": "mlp", "widths": [12, 12]}, {"name": "resnet", "depth": 8}])
def test_each_setting_trains(setting: str, network: dict[str, Any]) -> None:
    assert learned(network=network, **{setting: True}) > 0.6


def test_channels_last_is_how_weights_and_activations_of_convolutions_lie_in_memory() -> None:
    network = {"name": "resnet", "depth": 8}
    lane, plain = Lane((small_trial(network=network, channels_last=True),)), Lane((small_trial(network=network),))
    seen: list[bool] = []
    # Behind the first layer: the grey pictures that it sees have both orders at once.
    _, *layers = [part for part in lane.train_step.net.modules() if isinstance(part, nn.Conv2d)]
    for layer in layers:
        layer.register_forward_hook(lambda part, given, made: seen.append(lies_last(made)))
    (ours,), (theirs,) = next(lane), next(plain)
    assert len(seen) > len(layers) == 6
    assert all(seen)
    assert all(lies_last(p) for p in lane.state.params.values() if p.ndim == 4)
    assert ours is not None
    assert theirs is not None
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-4)


def lies_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last)


def test_autocast_computes_layers_in_bfloat16_and_keeps_weights_in_float32() -> None:
    lane, plain = Lane((small_trial(autocast=True),)), Lane((small_trial(),))
    kinds: list[torch.dtype] = []
    lane.train_step.net.get_submodule("head").register_forward_hook(
        lambda module, given, result: kinds.append(result.dtype)
    )
    (ours,), (theirs,) = next(lane), next(plain)
    assert set(kinds) == {torch.bfloat16}
    assert {p.dtype for p in lane.state.params.values()} == {torch.float32}
    assert ours is not None
    assert theirs is not None
    assert ours.objective != theirs.objective
    # bfloat16 has 8 bits: 0.4 % a rounding; a few of them in a row stay within 2 %.
    assert ours.objective == pytest.approx(theirs.objective, rel=0.02)


def test_a_lane_cannot_be_channels_last() -> None:
    with pytest.raises(Refused, match="channels_last = false"):
        Lane([small_trial(seed=seed, channels_last=True) for seed in (1, 2)])


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """The graphs that are compiled: by the tracing half of the compiler, which decides what a graph is.

    The other half takes minutes.
    """
    compilations: list[torch.fx.GraphModule] = []
    original = torch.compile

    def traced(function: Any, *, fullgraph: bool, dynamic: bool) -> Any:
        def counted(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
            compilations.append(graph)
            return graph

        return original(function, fullgraph=fullgraph, dynamic=dynamic, backend=counted)

    monkeypatch.setattr(torch, "compile", traced)
    return compilations


def test_a_compiled_step_is_one_graph_with_every_method_and_takes_the_same_step(
    graphs: list[torch.fx.GraphModule],
) -> None:
    recipe = [row(name, searched(name)) for name in COMPILED]
    ours = list(train(small_trial(recipe, epochs=2, compiled=True)))
    theirs = list(train(small_trial(recipe, epochs=2)))
    assert len(graphs) == 1
    # One step from the same state agrees to 1e-6; six steps of this small network stay within 1e-4.
    assert [e.objective for e in ours] == pytest.approx([e.objective for e in theirs], rel=1e-4)


@pytest.mark.slow
def test_a_compiled_lane_is_one_graph_a_step_whoever_comes_and_goes(graphs: list[torch.fx.GraphModule]) -> None:
    """Two graphs with all methods: the last step of an epoch is another one, since averages are taken there."""
    recipe = [row(name, searched(name)) for name in METHODS]
    network = {"name": "mlp", "widths": [12, 12], "residual": True}  # tracing all of it takes seconds a layer
    trials = [small_trial(recipe, seed=seed, epochs=3, compiled=True, network=network) for seed in (1, 2, 3, 4)]
    lane = Lane(trials[:3])
    next(lane)
    assert len(graphs) == 2
    lane.release(1)
    next(lane)
    lane.replace(1, trials[3])
    lane.restore(0, lane.checkpoint(0))
    list(lane)
    assert [epochs[-1].number for epochs in lane.epochs] == [3, 3, 3]
    assert len(graphs) == 2, "nothing was compiled again"
    eager = Lane([dataclasses.replace(trial, compiled=False) for trial in trials[1:]])
    list(eager)
    ours, theirs = lane.epochs[1], eager.epochs[2]
    assert [e.objective for e in ours] == pytest.approx([e.objective for e in theirs], rel=1e-4)


@pytest.mark.slow
def test_a_compiled_lane_takes_the_step_of_an_eager_one_and_no_slot_matters() -> None:
    """By the whole compiler: it may round large whole numbers, as those of the draws are, to float32."""
    recipe = [row(name, searched(name)) for name in ("dropout", "mixup", "label_smoothing", "l2")]
    trials = [small_trial(recipe, seed=seed, epochs=3, compiled=True) for seed in (1, 2, 3, 4, 5)]
    stepped = []
    for compiled in (True, False):
        lane = Lane([dataclasses.replace(trial, compiled=compiled) for trial in trials])
        places = torch.arange(trials[0].batch).expand(5, -1)
        stepped.append(lane.step(lane.state, lane.updates([1] * 5)[0], places))
    torch.testing.assert_close(stepped[0].objective, stepped[1].objective, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(stepped[0].state.params, stepped[1].state.params, rtol=1e-6, atol=1e-7)
    ends = []
    for order in ([0, 1, 2, 3, 4], [4, 3, 0, 2, 1], [3, 4, 2, 1, 0]):
        lane = Lane([trials[place] for place in order])
        list(lane)
        ends.append((lane.kept_at(order.index(0))[0], [e.numbers() for e in lane.epochs[order.index(0)]]))
    for weights, epochs in ends[1:]:
        assert epochs == ends[0][1]
        assert same(weights, ends[0][0])


@pytest.mark.slow
def test_a_compiled_trial_trains() -> None:
    recipe = [row(name, searched(name)) for name in ("dropout", "mixup", "l2")]
    assert learned(compiled=True, recipe=tuple(recipe)) > 0.4


def test_the_share_of_data_is_measured() -> None:
    plain, heavy = (
        [e.data_share for e in train(small_trial(recipe, epochs=6))]
        for recipe in ([], [row(name, searched(name)) for name in ("rand_augment", "cutmix", "random_erasing")])
    )
    assert all(0 < share < 1 for share in plain + heavy)
    assert min(heavy) > min(plain)
