"""Cutout: a black square somewhere in every picture.

Changes: inputs, one draw for every example and step.
Formula: x = 0 inside a square of `length` pixels whose centre is any pixel, clipped at the border.
Expect: half a point on CIFAR-10 (16 pixels), less on CIFAR-100 (8 pixels); little beside mixup.
Not with: random erasing, which does the same with other shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.augmentation.boxes import box
from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class Cutout(Regularizer):
    """Blackens one clipped square; odd lengths count as the even number below, as in the authors' code.

    The authors blacken after normalization, so their square has the mean colour; here pictures are in [0, 1]
    and 0 is black. Source: T. DeVries, G. Taylor, "Improved Regularization of Convolutional Neural Networks
    with Cutout" (2017).
    """

    on_tables: ClassVar[str] = "swap_noise"

    length: Number = knob(
        default=4.0,
        legal="[0, 1024]",
        space=FloatDistribution(2, 6, step=2),
        neutral=0.0,
        meaning="side of the square in pixels; 16 is usual for CIFAR-10",
    )

    def check(self, net: nn.Module, data: Splits) -> None:
        """Refuse squares that hide every picture entirely."""
        most = 2 * max(data.train.source.shape[2:])
        if self.length >= most:
            raise Refused(f"length: expected less than {most} for these pictures, given {self.length}; lower length")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Blacken a square; targets stay."""
        count, _, height, width = x.shape
        half = torch.as_tensor(self.length / 2, device=x.device).floor().expand(count)
        inside = box(
            centre=(step.noise.below(height, "y", (count,)), step.noise.below(width, "x", (count,))),
            half=(half, half),
            size=(height, width),
        )
        return torch.where(inside[:, None], 0.0, x), y
