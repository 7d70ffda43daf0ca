"""Mix switch: mixup for some batches, CutMix for the others.

Changes: inputs and targets.
Formula: with probability `prob` a batch is mixed: by CutMix with probability `cutmix_share`, else by mixup.
Expect: what either gives, without having to choose; the usual setting of long ImageNet recipes.
Not with: mixup or CutMix beside it, which would mix a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer, Step
from regtune.regularizers.cutmix import CutMix
from regtune.regularizers.mixup import Mixup


@dataclass(frozen=True, kw_only=True)
class MixSwitch(Regularizer):
    """Draws for every batch whether it is mixed, and how; the coefficients are per batch.

    timm's Mixup with `cutmix_alpha` and `switch_prob`, without its own label smoothing. Source: R. Wightman,
    H. Touvron, H. Jegou, "ResNet Strikes Back" (2021).
    """

    on_tables: ClassVar[str] = "mixup or feature_cutmix"

    prob: Number = knob(
        default=1.0, legal="[0, 1]", space=FloatDistribution(0.2, 1.0), neutral=0.0, meaning="share of mixed batches"
    )
    cutmix_share: Number = knob(
        default=0.5, legal="[0, 1]", space=FloatDistribution(0.0, 1.0), meaning="share of CutMix among them"
    )
    mixup_alpha: Number = knob(
        default=0.2, legal="(0, 1000]", space=FloatDistribution(0.05, 2.0, log=True), meaning="alpha of mixup"
    )
    cutmix_alpha: Number = knob(default=1.0, legal="(0, 1000]", meaning="alpha of CutMix")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Mix, or leave alone."""
        soft = Mixup(alpha=self.mixup_alpha).augment(x, y, replace(step, noise=step.noise.at("mixup")))
        hard = CutMix(alpha=self.cutmix_alpha, prob=1.0).augment(x, y, replace(step, noise=step.noise.at("cutmix")))
        used = step.noise.uniform("prob") < self.prob
        cut = step.noise.uniform("switch") < self.cutmix_share
        return (
            torch.where(used, torch.where(cut, hard[0], soft[0]), x),
            torch.where(used, torch.where(cut, hard[1], soft[1]), y),
        )
