"""Mixup: train on points between two examples, with targets between theirs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.regularizers._base import Regularizer, Step
from regtune.space import knob
from regtune.state import Number


@dataclass(frozen=True, kw_only=True)
class Mixup(Regularizer):
    """x = lambda x_i + (1 - lambda) x_j, targets alike, lambda ~ Beta(alpha, alpha) once per batch.

    Partner j is the previous example of the batch (as in torchvision); batches are drawn in random
    order, so that is a random partner. Source: H. Zhang et al., "mixup: Beyond Empirical Risk
    Minimization" (ICLR 2018). The lecture calls the coefficient lambda alpha.
    """

    alpha: Number = knob(
        default=0.2,
        legal="[0, 1000]",
        space=FloatDistribution(0.05, 2.0, log=True),
        neutral=0.0,
        meaning="both parameters of the Beta distribution of the mixing coefficient",
    )

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Mix inputs and targets with one coefficient."""
        alpha = torch.as_tensor(self.alpha, device=x.device)
        # alpha = 0 stands for no mixing; the draw needs alpha > 0 and is then not used.
        drawn = step.noise.beta("lambda", alpha.clamp_min(1e-6), alpha.clamp_min(1e-6))
        share = torch.where(alpha > 0, drawn, 1.0).to(x.dtype)
        return torch.lerp(x.roll(1, 0), x, share), torch.lerp(y.roll(1, 0), y, share)
