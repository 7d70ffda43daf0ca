"""Label smoothing: targets that leave some probability to the other classes.

Changes: targets.
Formula: "all": y (1 - eps) + eps / K; "wrong": 1 - eps on the right class, eps / (K - 1) on each other.
Expect: better calibration and tighter classes in the last hidden layer, hardly any change in accuracy;
the training loss cannot reach 0 and says nothing across strengths.
Not with: another method that smooths; it adds to mixup and CutMix.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Regularizer):
    """Mixes every target with the uniform distribution over all K classes, or over the wrong ones.

    "all" is the convention of R. Mueller et al., of torch and timm; "wrong" that of I. Goodfellow et al., "Deep
    Learning" (2016), section 7.5.1: eps on the wrong ones is eps K / (K - 1) over all. Source: R. Mueller, S.
    Kornblith, G. Hinton, "When Does Label Smoothing Help?" (NeurIPS 2019).
    """

    eps: Number = knob(
        default=0.1,
        legal="[0, 1]",
        space=FloatDistribution(0.01, 0.3),
        neutral=0.0,
        meaning="probability that is taken from the target",
    )
    convention: str = knob(default="all", legal=("all", "wrong"), meaning="over which classes it is spread")

    def check(self, net: nn.Module, data: Splits) -> None:
        """Refuse to leave the right class less than the wrong ones."""
        most = 1 - 1 / data.classes
        if self.convention == "wrong" and self.eps > most:
            raise Refused(f"eps: expected at most {most:g} for {data.classes} classes, given {self.eps}; lower it")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Smooth the targets; inputs stay."""
        classes = y.shape[-1]
        eps = self.eps * classes / (classes - 1) if self.convention == "wrong" else self.eps
        return x, y * (1 - eps) + eps / classes
