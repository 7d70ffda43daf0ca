"""The plugin squared_loss: with a share of 1 the objective is the squared loss and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from regtune.cli.sweeps import beside_sweeps
from regtune.core.plugins import import_plugin
from regtune.regularizers import REGULARIZERS
from regtune.training.build import start_network
from regtune.training.lane import Lane
from tests.conftest import same, small_trial, trained


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    path = next(path for path in beside_sweeps() if path.name == "squared_loss.py")
    monkeypatch.syspath_prepend(str(Path(path).parent))
    import_plugin("squared_loss")
    return ("squared_loss",)


def trial_of(share: float, plugin: tuple[str, ...], **changes: Any) -> Any:
    return small_trial([{"name": "squared_loss", "share": share}], plugins=plugin, **changes)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_step_goes_down_the_squared_loss(share: float, plugin: tuple[str, ...]) -> None:
    """By plain autograd of the sum of the two losses, written out."""
    plain = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    trial = trial_of(share, plugin, optimizer=plain, epochs=1, batch=48, dtype="float64")
    lane = Lane((trial,))
    before = {name: value.clone() for name, value in lane.state.params.items()}
    (epoch,) = next(lane)
    net = start_network(trial, lane.data).double()
    logits = net(
        lane.data.train.images.double(), lambda signal, slot: signal if torch.is_tensor(signal) else signal.run
    )
    targets = one_hot(lane.data.train.labels, 4).double()
    squared = (logits - targets).pow(2).sum() / 48
    likelihood = -(targets * logits.log_softmax(-1)).sum() / 48
    loss = share * squared + (1 - share) * likelihood
    assert epoch is not None
    assert epoch.objective == pytest.approx(float(loss.detach()), rel=1e-9)
    found = torch.autograd.grad(loss, [*net.parameters()])
    for (name, _), gradient in zip(net.named_parameters(), found, strict=True):
        torch.testing.assert_close(before[name] - lane.state.params[name], gradient, rtol=1e-8, atol=1e-10)


def test_a_share_of_0_is_the_baseline(plugin: tuple[str, ...]) -> None:
    assert REGULARIZERS.find("squared_loss", "test", plugin).__name__ == "SquaredLoss"
    assert same(trained(trial_of(0.0, plugin)).state.params, trained(small_trial()).state.params)
