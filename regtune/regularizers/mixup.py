"""Mixup: train on points between two examples, with targets between theirs.

Changes: inputs and targets.
Formula: x = lambda x_i + (1 - lambda) x_j, y alike, lambda ~ Beta(alpha, alpha).
Expect: a point or more on CIFAR in long trainings with alpha near 1; on ImageNet 0.1 to 0.4, more underfits.
Not with: a second mixing of the same batch (CutMix: use mix_switch); use less weight decay with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class Mixup(Regularizer):
    """Mixes each example with another one, with one coefficient per batch or per example.

    Partner j is the previous example of the batch (as in torchvision); batches are drawn in random
    order, so that is a random partner. The authors and most libraries draw one coefficient per batch, the
    paper's lambda, from Beta(alpha, alpha). Source: H. Zhang et al., "mixup: Beyond Empirical Risk
    Minimization" (ICLR 2018).
    """

    alpha: Number = knob(
        default=0.2,
        legal="[0, 1000]",
        space=FloatDistribution(0.05, 2.0, log=True),
        neutral=0.0,
        meaning="both parameters of the Beta distribution of the mixing coefficient",
    )
    per: str = knob(default="batch", legal=("batch", "example"), meaning="one coefficient per batch or per example")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Mix inputs and targets."""
        alpha = torch.as_tensor(self.alpha, device=x.device)
        # alpha = 0 stands for no mixing; the draw needs alpha > 0 and is then not used.
        shape = (len(x),) if self.per == "example" else (1,)
        drawn = step.noise.beta("lambda", alpha.clamp_min(1e-6), alpha.clamp_min(1e-6), shape)
        share = torch.where(alpha > 0, drawn, 1.0).to(x.dtype)
        mixed = torch.lerp(x.roll(1, 0), x, share[:, None, None, None])
        return mixed, torch.lerp(y.roll(1, 0), y, share[:, None].to(y.dtype))
