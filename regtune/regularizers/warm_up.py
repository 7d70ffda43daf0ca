"""Warm-up: the learning rate starts small and rises.

Changes: the learning rate.
Formula: first + (1 - first) progress / share while progress < share, then 1.
Expect: large batches and rates that would diverge at first become possible.
Not with: nothing known; it multiplies whatever schedule stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer


@dataclass(frozen=True, kw_only=True)
class WarmUp(Regularizer):
    """Over the first `share` of the budget the factor rises along a line from `first` to 1.

    Multiplies any other schedule of the recipe. Source: P. Goyal et al., "Accurate, Large Minibatch SGD:
    Training ImageNet in 1 Hour" (2017), gradual warm-up.
    """

    share: Number = knob(
        default=0.05,
        legal="[0, 1]",
        space=FloatDistribution(0.01, 0.2),
        neutral=0.0,
        meaning="share of the budget over which the rate rises",
    )
    first: Number = knob(default=0.0, legal="[0, 1]", meaning="factor of the first step")

    def schedule(self, progress: Number) -> Number:
        """Return the factor at this share of the budget."""
        share = torch.as_tensor(self.share)
        risen = (progress / share.clamp_min(1e-9)).clamp(max=1.0)
        return torch.where(share > progress, self.first + (1 - self.first) * risen, 1.0)
