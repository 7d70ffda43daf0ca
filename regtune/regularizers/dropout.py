"""Dropout: each unit is left out with probability p, anew for every example and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from optuna.distributions import FloatDistribution

from regtune.networks import Slot
from regtune.regularizers._base import Regularizer, Step
from regtune.space import knob
from regtune.state import Number


@dataclass(frozen=True, kw_only=True)
class Dropout(Regularizer):
    """Drops hidden and input units; what stays is scaled by 1/(1-p) in training, nothing at test.

    Source: N. Srivastava et al., "Dropout" (JMLR 2014). The paper's p is the probability to *keep* and
    it scales at test instead; so its max-norm c, learning rate and decay mean something else here.
    """

    needs: ClassVar[tuple[str, ...]] = ("hidden", "input")

    p_hidden: Number = knob(
        default=0.5,
        legal="[0, 1)",
        space=FloatDistribution(0.1, 0.7),
        neutral=0.0,
        meaning="probability to drop a hidden unit",
    )
    p_input: Number = knob(default=0.0, legal="[0, 1)", neutral=0.0, meaning="probability to drop an input")

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Mask the units of hidden and input slots."""
        if slot.kind == "residual" or not step.training:
            return x
        p = self.p_input if slot.kind == "input" else self.p_hidden
        dropped = step.noise.uniform(slot.label, x.shape) < p
        return torch.where(dropped, 0.0, x / (1 - p))
