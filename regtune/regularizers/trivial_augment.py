"""TrivialAugment: every picture goes through one operation at a strength drawn for it alone.

Changes: the inputs of training (`augment`).

Formula: x <- o_m(x), o uniform over 14 operations, m uniform over 31 strengths from none to the widest, for each
example on its own; with probability 1 - p an example stays as it is.

Expect: about what searched policies and a tuned RandAugment give on natural pictures, with nothing tuned.
Inputs are rounded to 255ths where an example is augmented.

Range: the widest strengths need longer trainings: 70 updates of a small convnet lose 20 to 26 points on
pictures of 6 x 6, 700 and 7,000 gain.

Not with: a second TrivialAugment or RandAugment in one recipe; inputs that are not pictures in grey or colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.augmentation import Ranges, augmented, check_channels, draw_operations, strengths
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step

WIDE = Ranges(last=30, shear=0.99, shift_x=32.0, shift_y=32.0, angle=135.0, factor=0.99, bits=6)


@dataclass(frozen=True, kw_only=True)
class TrivialAugment(Regularizer):
    """One operation per example, drawn with its strength: the wide ranges, which torchvision has.

    The paper also has narrower ranges, RandAugment's, and shifts of 32 pixels whatever the size, which leave nothing
    of a picture of 32 pixels at their end; both are as in torchvision's TrivialAugmentWide. Neither paper nor library
    has p: it is 1 there. Source: S. Müller and F. Hutter, "TrivialAugment: Tuning-free Yet
    State-of-the-Art Data Augmentation" (ICCV 2021).
    """

    on_tables: ClassVar[str] = "swap_noise or mixup"

    p: Number = knob(
        default=1.0,
        legal="[0, 1]",
        space=FloatDistribution(0.5, 1.0),
        neutral=0.0,
        meaning="probability that an example is augmented",
    )

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused if the data are no pictures."""
        check_channels(data.train.source)

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Apply one operation to the chosen examples; targets stay."""
        drawn = draw_operations(step.noise, 1, len(x))
        place = step.noise.below(WIDE.last + 1, "strength", (1, len(x))).float()
        bent = augmented(x, drawn, strengths(WIDE, drawn.operation, place, drawn.negative))
        chosen = step.noise.uniform("chosen", (len(x), 1, 1, 1)) < self.p
        return torch.where(chosen, bent, x), y
