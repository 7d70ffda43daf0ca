"""CutMix by feature: some columns of each row come from another one, and so does that share of the target.

Changes: inputs and targets.
Formula: x_ic = x_jc for n columns c drawn at random, n = floor((1 - lambda) C), lambda ~ Beta(alpha, alpha);
y = (1 - n / C) y_i + (n / C) y_j.
Expect: what CutMix gives pictures; of the cocktails of Kadra et al. it is one of four augmentations.
Not with: a second mixing of the same batch (mixup).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step
from regtune.regularizers._columns import FIRST, ranks, remembered


@dataclass(frozen=True, kw_only=True)
class FeatureCutMix(Regularizer):
    """Takes the same columns of every row of a batch from the row before it.

    On pictures each value of each channel is a column. Source: S. Yun et al., "CutMix" (ICCV 2019); A. Kadra et al.,
    "Well-tuned Simple Nets Excel on Tabular Datasets" (NeurIPS 2021), whose mask is of columns.
    """

    label: ClassVar[str] = "feature_cutmix"

    prob: Number = knob(
        default=0.5,
        legal="[0, 1]",
        space=FloatDistribution(0.2, 1.0),
        neutral=0.0,
        meaning="probability that a batch is mixed at all",
    )
    alpha: Number = knob(
        default=1.0,
        legal="(0, 1000]",
        space=FloatDistribution(0.2, 2.0, log=True),
        meaning="both parameters of the Beta distribution of lambda",
    )

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember which features are of one column."""
        return remembered(state, data)

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Take columns from the row before, and mix the targets by their share."""
        flat, first = x.flatten(1), step.memory[FIRST]
        count = (first == torch.arange(flat.shape[1], device=first.device)).sum()
        kept = step.noise.beta("lambda", self.alpha, self.alpha, (1,))
        taken = torch.where(step.noise.uniform("prob", (1,)) < self.prob, ((1 - kept) * count).floor(), 0.0)
        inside = ranks(step.noise.uniform("column", flat.shape[1:]), first) < taken
        own = (1 - taken / count).to(y.dtype)
        return torch.where(inside, flat.roll(1, 0), flat).view_as(x), torch.lerp(y.roll(1, 0), y, own[:, None])
