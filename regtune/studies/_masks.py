"""Given masks for a method that draws its own: all of them can be gone through, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from regtune.core.rng import Rng
from regtune.regularizers import Step


@dataclass(frozen=True, kw_only=True)
class Given(Rng):
    """Noise whose uniform draws are given."""

    seed: int | Tensor = 0
    draws: Tensor

    def at(self, name: str) -> Given:
        """Return the same draws for every user."""
        return self

    def uniform(self, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return the draws, whatever the site."""
        return self.draws.expand(tuple(shape))


def masked_step(mask: Tensor) -> Step:
    """Return a step of training in which what is dropped with a probability above 0 is where `mask` is 0."""
    draws = torch.where(mask > 0, 1.0, 0.0)
    return Step(noise=Given(draws=draws), progress=0.0, learning_rate=0.0)


def evaluation_step() -> Step:
    """Return a step of evaluation."""
    return replace(masked_step(torch.ones(())), training=False)
