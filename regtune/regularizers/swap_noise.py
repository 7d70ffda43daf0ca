"""Swap noise: values of a row come from other rows, column by column.

Changes: inputs, one draw for every column, example and step.
Formula: x_ic = x_jc with probability p, j any example of the batch, else x_ic; the values of a category move together.
Expect: what input dropout gives, with values that do occur: a corrupted row is of the columns' own distributions.
Not with: tables whose columns say something together only; small batches, in which partners are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step
from regtune.regularizers._columns import FIRST, remembered


@dataclass(frozen=True, kw_only=True)
class SwapNoise(Regularizer):
    """Replaces each value of a row with that of a random row of the batch; the target stays.

    On pictures each value of each channel is a column. Source: M. Jahrer, "1st place with representation learning"
    (Kaggle, Porto Seguro's Safe Driver Prediction, 2017), who corrupts so the inputs of an autoencoder, p = 0.15.
    """

    p: Number = knob(
        default=0.15,
        legal="[0, 1]",
        space=FloatDistribution(0.02, 0.3),
        neutral=0.0,
        meaning="probability that a value is that of another row",
    )

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember which features are of one column."""
        return remembered(state, data)

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Swap values; targets stay."""
        flat, first = x.flatten(1), step.memory[FIRST]
        swapped = step.noise.uniform("whether", flat.shape)[:, first] < self.p
        partner = step.noise.below(len(x), "row", flat.shape)[:, first]
        return torch.where(swapped, flat.gather(0, partner), flat).view_as(x), y
