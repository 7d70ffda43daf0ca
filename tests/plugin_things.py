"""What a user might bring along: a network with BatchNorm, a schedule written in torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.networks import Bend, Network, Normalize, Slot
from regtune.regularizers import Regularizer


@dataclass(frozen=True, kw_only=True)
class BatchNormNet(Network):
    """One hidden layer with BatchNorm."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _Net(shape, classes)


class _Net(nn.Module):
    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.normalize, self.hidden = Normalize(shape[0]), Slot("hidden")
        self.layer, self.norm = nn.Linear(math.prod(shape), 8), nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.norm(self.layer(self.normalize(x).flatten(1))).relu()
        logits: Tensor = self.head(self.hidden(h, bend))
        return logits


@dataclass(frozen=True, kw_only=True)
class Fading(Regularizer):
    """exp(-rate * progress), in torch."""

    rate: Number = knob(default=1.0, legal="[0, 100]", neutral=0.0, meaning="speed")

    def schedule(self, progress: Number) -> Number:
        return torch.exp(-torch.as_tensor(self.rate) * progress)


@dataclass(frozen=True, kw_only=True)
class Endless(Regularizer):
    """A learning rate beyond measure."""

    def schedule(self, progress: Number) -> Number:
        return math.inf


@dataclass(frozen=True, kw_only=True)
class ResidualNormNet(Network):
    """Residual blocks with BatchNorm in their branches."""

    blocks: int = knob(default=3, legal="[1, 100]", meaning="residual blocks")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _ResidualNet(self.blocks, shape, classes)


class _ResidualNet(nn.Module):
    def __init__(self, blocks: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(shape[0])
        self.stem, self.head = nn.Linear(math.prod(shape), 8), nn.Linear(8, classes)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(blocks)
        )
        self.slots = nn.ModuleList(Slot("residual") for _ in range(blocks))

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h: Tensor = self.stem(self.normalize(x).flatten(1))
        for branch, slot in zip(self.branches, self.slots, strict=True):
            h = (h + slot(branch, bend)(h)).relu()
        logits: Tensor = self.head(h)
        return logits


@dataclass(frozen=True, kw_only=True)
class Forgetful(Regularizer):
    """Fails before the first step."""

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        raise RuntimeError("nothing comes to mind")
