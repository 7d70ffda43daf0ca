"""Cosine annealing with warm restarts (SGDR).

Changes: the learning rate.
Formula: lowest + (1 - lowest) / 2 (1 + cos(pi t / T)), t the time since the last restart, T that cycle's length.
Expect: good weights at the end of every cycle; scores fall for a while after a restart, so pruning
rungs belong at the ends of cycles.
Not with: another schedule that decays, they multiply; SWA over a cycle that ends at 0.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Regularizer):
    """Within a cycle the factor goes from 1 to `lowest` along half a cosine, then it is 1 again.

    `cycles` cycles, each `stretch` times as long as the one before, fill the budget exactly, so training
    ends at the end of a cycle. One cycle is plain cosine annealing. Source: I. Loshchilov, F. Hutter,
    "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017): T_0, T_mult = first, stretch.
    """

    lowest: Number = knob(
        default=0.0,
        legal="[0, 1]",
        space=FloatDistribution(0.0, 0.1),
        neutral=1.0,
        meaning="factor at the end of a cycle",
    )
    cycles: int = knob(default=1, legal="[1, 1000]", meaning="number of cycles in the budget")
    stretch: int = knob(default=2, legal="[1, 10]", meaning="length of a cycle over that of the one before")

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        lengths = [self.stretch**k for k in range(self.cycles)]
        shares = [length / sum(lengths) for length in lengths]
        now = torch.as_tensor(progress, dtype=torch.float64)
        starts = torch.tensor([0.0, *itertools.accumulate(shares[:-1])], dtype=torch.float64, device=now.device)
        # In float32 both, as the share of the budget is in a lane: a cycle begins at its first step there too.
        cycle = (starts.float() <= now.float()).sum().reshape(1) - 1
        share = torch.tensor(shares, dtype=torch.float64, device=now.device).gather(0, cycle)[0]
        done = ((now - starts.gather(0, cycle)[0]) / share).clamp(0.0, 1.0)
        return self.lowest + (1 - self.lowest) / 2 * (1 + torch.cos(math.pi * done)).float()
