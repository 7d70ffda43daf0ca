"""Stochastic depth: residual blocks are left out at random, deep ones more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.networks import Slot
from regtune.regularizers._base import Regularizer, Step
from regtune.space import knob
from regtune.state import Number


@dataclass(frozen=True, kw_only=True)
class StochasticDepth(Regularizer):
    """Block l of L is kept with probability p_l = 1 - l / L * (1 - p_last), one draw per mini-batch.

    At test the branch is scaled by p_l, as in the paper (torchvision scales by 1 / p_l in training). A
    dropped branch is computed and masked; its gradient is zero and momentum moves on. Source: G. Huang
    et al., "Deep Networks with Stochastic Depth" (ECCV 2016).
    """

    needs: ClassVar[tuple[str, ...]] = ("residual",)

    p_last: Number = knob(
        default=0.5,
        legal="[0, 1]",
        space=FloatDistribution(0.3, 0.95),
        neutral=1.0,
        meaning="survival probability of the last block",
    )

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Return the branch, masked or scaled; other slots are left alone."""
        if slot.kind != "residual":
            return x
        survival = 1 - slot.number / slot.count * (1 - self.p_last)

        def masked(h: Tensor) -> Tensor:
            return torch.where(step.noise.uniform(slot.label) < survival, x(h), 0.0)

        def scaled(h: Tensor) -> Tensor:
            return torch.as_tensor(survival * x(h))

        return masked if step.training else scaled
