"""CutMix: a rectangle of each picture comes from another one, and so does that share of the target.

Changes: inputs and targets.
Formula: x_i outside a box, x_j inside; the box has sides W sqrt(1 - lambda) and H sqrt(1 - lambda) before it
is clipped, lambda ~ Beta(alpha, alpha); y = lambda' y_i + (1 - lambda') y_j, 1 - lambda' the box's real area.
Expect: more than mixup on natural pictures in long trainings, and features that look at the whole object.
Not with: a second mixing of the same batch (mixup: use mix_switch); tiny or centred pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.augmentation.boxes import box
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class CutMix(Regularizer):
    """Pastes a box of the previous example of the batch, one draw per batch or per example.

    The paper's r_x, r_y are the *centre* of the box in the authors' code, and the label share is corrected
    to the clipped area: with lambda uniform and 32 x 32 pixels its mean is 0.70, not 0.5. The authors draw
    one box per batch. Source: S. Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers
    with Localizable Features" (ICCV 2019).
    """

    on_tables: ClassVar[str] = "feature_cutmix"
    label: ClassVar[str] = "cutmix"  # as everybody writes it

    prob: Number = knob(
        default=0.5,
        legal="[0, 1]",
        space=FloatDistribution(0.2, 1.0),
        neutral=0.0,
        meaning="probability that a batch (or example) is mixed at all",
    )
    alpha: Number = knob(
        default=1.0,
        legal="(0, 1000]",
        space=FloatDistribution(0.2, 2.0, log=True),
        meaning="both parameters of the Beta distribution of lambda",
    )
    per: str = knob(default="batch", legal=("batch", "example"), meaning="one box per batch or per example")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Paste boxes and mix the targets by their real area."""
        height, width = x.shape[2:]
        shape = (len(x),) if self.per == "example" else (1,)
        kept = step.noise.beta("lambda", self.alpha, self.alpha, shape)
        root = (1 - kept).sqrt()
        # int(side sqrt(1 - lambda)) // 2 to each side of the centre, as the authors cut it.
        half = (root * height).floor().div(2).floor(), (root * width).floor().div(2).floor()
        centre = step.noise.below(height, "y", shape), step.noise.below(width, "x", shape)
        inside = box(centre=centre, half=half, size=(height, width))
        inside = inside & (step.noise.uniform("prob", shape) < self.prob)[:, None, None]
        own = 1 - inside.to(y.dtype).mean((1, 2))
        return torch.where(inside[:, None], x.roll(1, 0), x), torch.lerp(y.roll(1, 0), y, own[:, None])
