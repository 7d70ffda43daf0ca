"""Dropout: each unit is dropped with probability p, redrawn for every example and step.

Changes: hidden and input slots.
Formula: training h * r / (1 - p), r ~ Bernoulli(1 - p), test h; scaling "test": training h * r, test (1 - p) h.
Expect: slower training that wants a larger learning rate, more epochs and wider layers; gains where the
network overfits, none at a few hundred examples or where it underfits.
Range: 0.5 and 0.7 are for long trainings of wide layers. At the baseline's learning rate 70 updates lose 16 and 79
points of a small mlp, 67 and 68 of a convnet of 8 and 16 channels, which has three slots in a row.
Not with: BatchNorm right behind it (variance shift); stronger together with max-norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.networks import Slot
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class Dropout(Regularizer):
    """Drops hidden and input units, or whole channels of pictures; p is the probability to drop.

    The paper's p is the probability to *keep*, and it scales at test; libraries scale in training. Scaling
    in training with p is the paper's network with weights (1 - p) W: its max-norm c becomes (1 - p) c, its
    learning rate (1 - p)^2 of it, its weight decay 1 / (1 - p)^2. Source: N. Srivastava et al.,
    "Dropout" (JMLR 2014).
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
    scaling: str = knob(default="train", legal=("train", "test"), meaning="scale in training or at test")
    channels: bool = knob(default=False, meaning="drop whole channels where activations are pictures")

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Mask or scale the units of hidden and input slots."""
        if slot.kind == "residual":
            return x
        p = self.p_input if slot.kind == "input" else self.p_hidden
        if not step.training:
            return x * (1 - p) if self.scaling == "test" else x
        whole = self.channels and x.ndim == 4
        dropped = step.noise.uniform(slot.label, (*x.shape[:2], 1, 1) if whole else x.shape) < p
        return torch.where(dropped, 0.0, x / (1 - p) if self.scaling == "train" else x)
