"""Label smoothing: targets that leave some probability to the other classes."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.regularizers._base import Regularizer, Step
from regtune.space import knob
from regtune.state import Number


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Regularizer):
    """Mixes every target with the uniform distribution: y (1 - eps) + eps / K over all K classes.

    The convention of torch and timm. Goodfellow et al. (2016), section 7.5.1, put alpha on the wrong
    classes only: eps = alpha K / (K - 1). Source: R. Mueller et al., "When Does Label Smoothing Help?"
    (NeurIPS 2019).
    """

    eps: Number = knob(
        default=0.1,
        legal="[0, 1]",
        space=FloatDistribution(0.01, 0.3),
        neutral=0.0,
        meaning="share of the uniform distribution in a target",
    )

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Smooth the targets; inputs stay."""
        return x, y * (1 - self.eps) + self.eps / y.shape[-1]
