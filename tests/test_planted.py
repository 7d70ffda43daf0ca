"""The planted effect of the replication benchmark: what is spoilt, and that mending gives it back to the bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from regtune.core.rng import Rng
from regtune.networks import Slot
from regtune.regularizers import Step

SWEEPS = Path(__file__).parents[1] / "benchmarks" / "sweeps"


def step(*, training: bool) -> Step:
    return Step(noise=Rng(seed=0), progress=1.0, learning_rate=0.0, training=training)


def test_a_share_is_negated_in_evaluation_only_and_mended_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SWEEPS)
    planted = __import__("planted")
    monkeypatch.delitem(sys.modules, "planted")
    spoil, mend, slot = planted.Spoil(share=0.1), planted.Mend(share=0.1), Slot("input")
    x = torch.randn((4, 5000, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    alone = torch.stack([spoil.bend(member, slot, step(training=False)) for member in x])
    negated = (alone != x).flatten(2).any(2)
    assert torch.equal(alone[negated], -x[negated])
    assert negated.double().mean().item() == pytest.approx(0.1, abs=0.01)  # five standard errors
    in_a_lane = torch.vmap(lambda member: spoil.bend(member, slot, step(training=False)))(x)
    assert torch.equal(in_a_lane, alone)
    assert torch.equal(torch.stack([mend.bend(member, slot, step(training=False)) for member in alone]), x)
    assert torch.equal(spoil.bend(x[0], slot, step(training=True)), x[0])
    assert torch.equal(spoil.bend(x[0], Slot("hidden"), step(training=False)), x[0])
