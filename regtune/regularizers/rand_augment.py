"""RandAugment: every picture goes through a few operations drawn from fourteen, all at one strength.

Changes: the inputs of training (`augment`).

Formula: x <- o_N(...o_1(x)), each o_i uniform over 14 operations, with replacement, for each example on its own;
the magnitude M is one number for all; the sign of rotations, shears, shifts and factors is random (a fair coin).

Expect: CIFAR-10 with WRN-28-10: 96.1 -> 97.3 % at N = 3, M = 5, on top of flips, crops and cutout (table 2 of the
paper). Larger networks and more data want a larger M. Inputs are rounded to 255ths, so it is best used on images.

Range: N = 3 and M = 10 need long trainings: 70 updates of a small convnet lose 48 and 35 points on pictures of 6 x 6,
the defaults 29, N = 1 13.

Not with: a second RandAugment or TrivialAugment in one recipe; inputs that are not pictures in grey or colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution, IntDistribution
from torch import Tensor, nn

from regtune.augmentation import Ranges, augmented, check_channels, draw_operations, strengths
from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step

LAST = {"paper": 10, "torchvision": 30}


@dataclass(frozen=True, kw_only=True)
class RandAugment(Regularizer):
    """N operations per example at magnitude M; ranges, nearest pixels and black outside are torchvision's.

    The paper's scale ends at 10, though its experiments go beyond; torchvision's default ends at 30. `scale = "paper"`
    is torchvision with `num_magnitude_bins=11`: M = 9 is 90 % of a range, not 30 %. The authors' code has other ranges
    (factors 0.1 + 0.18 M without a sign, shifts in pixels of ImageNet, grey outside) and two operations more; it is not
    followed. Between whole M strengths are interpolated. Source: E. Cubuk et al., "RandAugment: Practical Automated
    Data Augmentation with a Reduced Search Space" (NeurIPS 2020).
    """

    on_tables: ClassVar[str] = "swap_noise or mixup"

    num_ops: int = knob(
        default=2, legal="[0, 14]", space=IntDistribution(1, 3), neutral=0, meaning="operations per example, N"
    )
    magnitude: Number = knob(
        default=9.0,
        legal="[0, 30]",
        space=FloatDistribution(1.0, 10.0, step=1.0),
        meaning="strength of all operations, M, on the scale",
    )
    scale: str = knob(default="paper", legal=tuple(LAST), meaning="end of the scale of M: paper 10, torchvision 30")

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused if M is beyond its scale, or if the data are no pictures."""
        if float(self.magnitude) > LAST[self.scale]:
            raise Refused(
                f"magnitude: expected at most {LAST[self.scale]} on this scale, given "
                f'{float(self.magnitude):g}; lower it, or set scale = "torchvision", on which 30 is the end'
            )
        check_channels(data.train.source)

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Apply the operations one after the other; targets stay."""
        if self.num_ops == 0:
            return x, y
        height, width = x.shape[2:]
        ranges = Ranges(
            last=LAST[self.scale],
            shear=0.3,
            shift_x=150.0 / 331.0 * width,
            shift_y=150.0 / 331.0 * height,
            angle=30.0,
            factor=0.9,
            bits=4,
        )
        drawn = draw_operations(step.noise, self.num_ops, len(x))
        place = torch.as_tensor(self.magnitude, dtype=torch.float32, device=x.device)
        return augmented(x, drawn, strengths(ranges, drawn.operation, place, drawn.negative)), y
