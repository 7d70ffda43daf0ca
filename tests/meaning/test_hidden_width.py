"""The plugin of the sweeps on double descent: a wide net of which so many units are left is that narrow net."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from regtune.cli.sweeps import sweep_files
from regtune.networks import Bend, Slot
from regtune.networks.convnet import Convnet
from regtune.networks.mlp import MLP
from regtune.regularizers import REGULARIZERS
from regtune.sweep.sweep import Sweep
from tests.meaning.tools import step

WIDE, NARROW = 16, 5


def method(units: float) -> Any:
    path = next(path for path in sweep_files() if path.name == "double_descent_small.toml")
    assert Sweep.read(path).arms  # which finds the plugin beside the file
    cls: Any = REGULARIZERS.find("hidden_width", "test", ("hidden_width",))
    return cls(units=units)


def logits(net: Any, x: Tensor, bend: Bend) -> Tensor:
    out: Tensor = net(x, bend)
    return out


def as_it_is(x: Tensor, slot: Slot) -> Tensor:
    return x


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda units: MLP(widths=(units, units)), (1, 4, 4)),
        (lambda units: Convnet(channels=(units, units), batch_norm=False), (3, 12, 12)),  # slots of [N, C, 6, 6], 3 x 3
    ],
    ids=["mlp", "convnet"],
)
def test_the_units_that_are_left_are_the_narrow_net(build: Any, shape: tuple[int, int, int]) -> None:
    wide, narrow = (build(units).build(shape=shape, classes=3) for units in (WIDE, NARROW))
    own = dict(narrow.named_parameters())
    with torch.no_grad():
        for name, weights in wide.named_parameters():
            own[name].copy_(weights[tuple(slice(size) for size in own[name].shape)])
    x, cut = torch.rand(7, *shape), method(NARROW)

    def left(h: Tensor, slot: Slot) -> Tensor:
        bent: Tensor = cut.bend(h, slot, step(training=False))
        return bent

    assert torch.allclose(logits(wide, x, left), logits(narrow, x, as_it_is), atol=1e-6)
    assert not torch.allclose(logits(wide, x, as_it_is), logits(narrow, x, as_it_is), atol=1e-3)


def test_with_as_many_units_as_there_are_a_convnet_is_the_baseline_bit_for_bit() -> None:
    net, neutral = Convnet(channels=(WIDE, NARROW)).build(shape=(3, 12, 12), classes=3), method(1000000)
    x = torch.rand(7, 3, 12, 12)
    bent = logits(net, x, lambda h, slot: neutral.bend(h, slot, step(training=True)))
    assert torch.equal(bent, logits(net, x, as_it_is))


def test_weights_of_silent_units_are_not_trained() -> None:
    wide = MLP(widths=(WIDE,)).build(shape=(1, 4, 4), classes=3)
    cut = method(NARROW)
    first = next(p for _, p in wide.named_parameters() if p.shape == (WIDE, 16))
    out = logits(wide, torch.rand(7, 1, 4, 4), lambda h, slot: cut.bend(h, slot, step(training=True)))
    (gradient,) = torch.autograd.grad(out.square().sum(), first)
    assert not gradient[NARROW:].any()
    assert gradient[:NARROW].any()
