"""Weights that are averages of those that train: EMA and SWA."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from regtune.core.records import Json, Trial
from regtune.core.state import Tensors, TrainState
from regtune.regularizers import EMA, SWA, Regularizer
from regtune.training.build import load_data
from regtune.training.lane import Lane
from tests.conftest import same, small_trial, trained
from tests.meaning.tools import exact, in_float64, ordinary, step

PLUGINS = ("tests.plugin_things",)


def followed(method: Regularizer, start: float, values: list[float], **fields: Any) -> Tensors:
    """Return what a method remembers of one weight that takes these values."""
    state = TrainState({"w": torch.tensor([start], dtype=torch.float64)}, {}, {}, {})
    memory = method.begin(state, load_data(in_float64()))
    for value in values:
        moved = state._replace(params={"w": torch.tensor([value], dtype=torch.float64)})
        memory = method.remember(moved, step(memory=memory, **fields))
    return memory


def averaged_trial(row: Json, **changes: Any) -> Trial:
    network = {"name": "batch_norm_net"}
    return dataclasses.replace(in_float64(recipe=(row,), network=network, plugins=PLUGINS), **changes)


def val_loss(trial: Trial, model: nn.Module) -> float:
    model.eval()
    validation = load_data(trial).validation
    with torch.no_grad():
        return float(cross_entropy(model(validation.images.double()), validation.labels))


def close(ours: Tensors, theirs: nn.Module, tolerance: float) -> None:
    """Compare tensors by name with the parameters and buffers of an averaged plain network."""
    reference = {name.removeprefix("module.net."): value for name, value in theirs.state_dict().items()}
    assert ours
    for name, value in ours.items():
        torch.testing.assert_close(value, reference[name], rtol=0, atol=tolerance)


# EMA


def test_ema_of_the_published_steps() -> None:
    """From 0 towards 1 with decay 0.9: 1 - 0.9^3 = 0.271 after three steps, to rounding in float64."""
    memory = followed(exact(EMA(decay=0.9, warm_up=False)), 0.0, [1.0, 1.0, 1.0])
    assert memory["w"].item() == pytest.approx(0.271, rel=1e-12)


def warmed(decay: float, updates: int) -> list[float]:
    """Return the decay at each update, by hand."""
    return [min(decay, (1 + t) / (10 + t)) for t in range(updates)]


@pytest.mark.parametrize(("decay", "updates"), [(0.9, 3), (0.999, 72), (0.5, 40), (0.99999, 1), (0.0, 5)])
def test_the_warmed_up_decay_is_what_stays_at_each_update(decay: float, updates: int) -> None:
    """Of the initial weights the product of all decays is left: 0.1 (2/11) (3/12) after three updates.

    Counts and their shares are float32, so 1e-6.
    """
    memory = followed(exact(EMA(decay=decay)), 1.0, [0.0] * updates)
    assert memory["w"].item() == pytest.approx(math.prod(warmed(decay, updates)), rel=1e-5)
    values = [float((7 * n) % 5) for n in range(updates)]
    mean = 0.0
    for value, stays in zip(values, warmed(decay, updates), strict=True):
        mean = stays * mean + (1 - stays) * value
    assert followed(exact(EMA(decay=decay)), 0.0, values)["w"].item() == pytest.approx(mean, rel=1e-5)


DIGITS: Json = {"name": "digits", "train": 240, "validation": 397}


@pytest.mark.parametrize(
    ("decay", "epochs", "network"),
    [
        (0.999, 6, {"name": "mlp", "widths": [48]}),
        (0.998, 6, {"name": "mlp", "widths": [32, 32], "residual": True}),
        (0.9999, 12, {"name": "mlp", "widths": [32, 32], "batch_norm": True}),
        (0.999, 9, {"name": "convnet", "channels": [8, 16]}),
    ],
)
def test_a_short_training_has_forgotten_its_initial_weights(decay: float, epochs: int, network: Json) -> None:
    """72 to 144 updates: within 5 points of what the weights that train have; without the warm-up 20 and more below."""
    found = []
    for recipe in ([], [{"name": "ema", "decay": decay}], [{"name": "ema", "decay": decay, "warm_up": False}]):
        lane = trained(small_trial(recipe, data=DIGITS, network=network, epochs=epochs, batch=20))
        found.append(lane.epochs[0][-1].val_accuracy or 0.0)
    plain, ours, before = found
    assert plain > 0.75
    assert ours > plain - 0.05
    assert before < plain - 0.2


@pytest.mark.parametrize("warm_up", [True, False])
def test_ema_is_torchs_average_over_a_training_and_is_what_is_evaluated(warm_up: bool) -> None:
    """Weights and BatchNorm's statistics after 9 updates in float64: 1e-10, 1e-6 with shares that are float32.

    The first call of torch's copies, and counts. The losses of the last epoch are those of the average; they are
    measured in float64, 1e-9.
    """
    trial = averaged_trial({"name": "ema", "decay": 0.875, "warm_up": warm_up})
    lane = trained(trial)
    averages: list[AveragedModel] = []
    if warm_up:

        def mean_of(mean: torch.Tensor, new: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
            stays = min(0.875, int(count) / (9 + int(count)))  # the copy is the first that torch counts
            return stays * mean + (1 - stays) * new

        given: dict[str, Any] = {"avg_fn": mean_of}
    else:
        given = {"multi_avg_fn": get_ema_multi_avg_fn(0.875)}  # type: ignore[no-untyped-call]  # torch's
    tolerance, relative = (1e-6, 1e-6) if warm_up else (1e-10, 1e-9)

    def begin(net: nn.Module) -> torch.optim.Optimizer:
        averages.append(AveragedModel(net, **given, use_buffers=True))
        averages[0].update_parameters(net)
        return torch.optim.SGD(net.parameters(), lr=0.125, momentum=0.875)

    reference = ordinary(trial, begin, after=lambda net, update: averages[0].update_parameters(net))
    params, buffers = lane.train_step.evaluated(lane.state, lane.knobs, 1.0, [])
    close(params, averages[0], tolerance)
    close({n: b for n, b in buffers.items() if b.is_floating_point()}, averages[0], tolerance)
    assert same(lane.kept[0][0], params)
    for name, p in reference.net.named_parameters():  # training goes on as without it
        torch.testing.assert_close(lane.state.params[name], p.detach(), rtol=0, atol=1e-10)
    last = lane.epochs[0][-1]
    assert last.val_loss == pytest.approx(val_loss(trial, averages[0]), rel=relative)
    assert last.val_loss != pytest.approx(val_loss(trial, reference), rel=1e-3)


# SWA


def test_swa_of_the_published_values() -> None:
    """The mean of 1, 2, 3 at the ends of three epochs is 2; values within epochs, or before its time, are nothing."""
    ends = followed(SWA(start=0.5), 9.0, [1.0, 2.0, 3.0], ends_epoch=True, progress=0.5)
    assert ends["w"].item() == pytest.approx(2.0, rel=1e-15)
    within = followed(SWA(start=0.5), 9.0, [1.0, 2.0, 3.0], ends_epoch=False, progress=0.5)
    early = followed(SWA(start=0.5), 9.0, [1.0, 2.0, 3.0], ends_epoch=True, progress=0.49)
    assert within["w"].item() == early["w"].item() == 0.0


def test_swa_is_torchs_average_of_epoch_ends_with_batchnorms_statistics_taken_anew() -> None:
    """Of 8 epochs with start 0.5 the last four count: weights to 1e-10 in float64, statistics by update_bn, 1e-10.

    The same batches as update_bn's: full ones of the training pictures in their own order.
    """
    trial = averaged_trial({"name": "swa", "start": 0.5}, epochs=8)
    lane = trained(trial)
    averages: list[AveragedModel] = []

    def begin(net: nn.Module) -> torch.optim.Optimizer:
        averages.append(AveragedModel(net))
        return torch.optim.SGD(net.parameters(), lr=0.125, momentum=0.875)

    def after(net: nn.Module, update: int) -> None:
        if update % 3 == 0 and update // 3 > 4:
            averages[0].update_parameters(net)

    reference = ordinary(trial, begin, after=after)
    pictures = load_data(trial).train.images
    update_bn([batch.double() for batch in torch.split(pictures, 16)], averages[0])
    assert int(averages[0].n_averaged) == 4
    params, buffers = lane.kept[0]
    close(params, averages[0], 1e-10)
    close({n: b for n, b in buffers.items() if n.startswith("norm.running")}, averages[0], 1e-10)
    for name, p in reference.net.named_parameters():
        torch.testing.assert_close(lane.state.params[name], p.detach(), rtol=0, atol=1e-10)
    for name, b in reference.net.named_buffers():  # what trains keeps its own statistics
        torch.testing.assert_close(lane.state.buffers[name], b, rtol=0, atol=1e-10)
    last = lane.epochs[0][-1]
    assert last.val_loss == pytest.approx(val_loss(trial, averages[0]), rel=1e-9)
    assert last.val_loss != pytest.approx(val_loss(trial, reference), rel=1e-3)


def test_before_its_time_swa_evaluates_the_weights_that_train() -> None:
    """Four epochs of eight are those of the baseline bit for bit; the fifth is the first mean, of one epoch.

    Its weights are still the same; BatchNorm's statistics taken anew already make another loss.
    """
    trial = averaged_trial({"name": "swa", "start": 0.5}, epochs=8)
    averaged, plain = Lane((trial,)), Lane((dataclasses.replace(trial, recipe=()),))
    for number, (ours, theirs) in enumerate(zip(averaged, plain, strict=True), start=1):
        assert ours[0] is not None
        assert theirs[0] is not None
        assert (ours[0].val_loss == theirs[0].val_loss) == (number <= 4)
        assert same(averaged.kept[0][0], plain.kept[0][0]) == (number <= 5)


def test_swa_takes_the_statistics_of_the_network_that_is_evaluated() -> None:
    """Beside stochastic depth, whose branches are scaled by their survival in evaluation and not in training.

    One batch of all 48 training pictures: what a layer sees in evaluation has its running mean, up to the
    variances, which are unbiased in evaluation and biased in training: 48 / 47, 2 % of a standard deviation
    for each of the three layers before.
    """
    recipe: list[Json] = [{"name": "swa", "start": 0.5}, {"name": "stochastic_depth", "p_last": 0.3}]
    network = {"name": "mlp", "widths": [12, 12, 12, 12], "residual": True, "batch_norm": True}
    lane = trained(small_trial(recipe, network=network, epochs=12, batch=48))
    params, buffers = lane.kept[0]
    inputs: dict[str, torch.Tensor] = {}
    norms = {n: part for n, part in lane.train_step.net.named_modules() if isinstance(part, nn.BatchNorm1d)}
    for name, part in norms.items():
        part.register_forward_pre_hook(lambda module, given, name=name: inputs.update({name: given[0]}))
    lane.train_step.net.eval()
    lane.train_step.logits(params, buffers, lane.knobs, lane.data.train.images)
    assert len(norms) == 4
    for name, seen in inputs.items():
        off = (buffers[f"{name}.running_mean"] - seen.mean(0)).abs() / seen.std(0)
        assert float(off.max()) < 0.06
