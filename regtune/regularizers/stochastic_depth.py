"""Stochastic depth: residual blocks are left out at random, deep ones more often.

Changes: residual slots.
Formula: h + b f(h), b ~ Bernoulli(p_l), p_l = 1 - l / L (1 - p_last) for block l of L; test h + p_l f(h).
Expect: gains in deep networks (110 layers), little in shallow ones; per batch a quarter of the time is
saved at p_last = 0.5, since what is dropped is not run.
Not with: a small p_last together with strong dropout in the same branches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.networks import Branch, Slot
from regtune.regularizers._base import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class StochasticDepth(Regularizer):
    """Keeps block l of L with its survival probability, one draw per mini-batch or per example.

    The paper draws per batch and scales at test; torchvision and timm scale by 1 / p_l in training, and
    draw per example in their usual mode, which runs every block. A block dropped for a batch leaves its
    buffers as they were; its gradient is zero and momentum moves on. A trial alone does not run it at all,
    with the same bits. The rule of timm gives block 1 no drop at all, the paper's gives it 1 / L of the
    last one's. Source: G. Huang et al., "Deep Networks with Stochastic Depth" (ECCV 2016).
    """

    needs: ClassVar[tuple[str, ...]] = ("residual",)

    p_last: Number = knob(
        default=0.5,
        legal="[0, 1]",
        space=FloatDistribution(0.3, 0.95),
        neutral=1.0,
        meaning="survival probability of the last block",
    )
    rule: str = knob(
        default="linear", legal=("linear", "uniform"), meaning="decay to p_last, or p_last for every block"
    )
    per: str = knob(default="batch", legal=("batch", "example"), meaning="one draw per batch or per example")
    scaling: str = knob(default="test", legal=("test", "train"), meaning="scale in training or at test")

    def check(self, net: nn.Module, data: Splits) -> None:
        """Refuse to divide by a survival of 0."""
        if self.scaling == "train" and self.p_last == 0:
            raise Refused("p_last: expected a number above 0 with scaling = 'train', given 0; set scaling = 'test'")

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Return the branch: skipped, masked or scaled; other slots are left alone."""
        if not isinstance(x, Branch):
            return x
        survival = self._survival(slot, self.p_last)
        if not step.training:
            return x.bent(lambda h: survival * x(h)) if self.scaling == "test" else x
        scale = 1 / survival if self.scaling == "train" else 1.0
        if self.per == "example":
            return x.bent(lambda h: _rows(x(h) * scale, step.noise.uniform(slot.label, h.shape[:1]) < survival))
        host = step.noise.host()
        if host is not None and step.host is not None:
            # In float32 as on the device, so that skipping and masking decide alike.
            plain = self._survival(slot, torch.tensor(step.host.p_last, dtype=torch.float32))
            dropped = bool(host.uniform(slot.label) >= plain)
            return x.bent(lambda h: h.new_zeros(())) if dropped else x.bent(lambda h: x(h) * scale)
        keep = step.noise.uniform(slot.label) < survival
        return x.bent(lambda h: torch.where(keep, x.trial_run(h, keep) * scale, 0.0))

    def _survival(self, slot: Slot, last: Number) -> Tensor:
        share = slot.number / slot.count if self.rule == "linear" else 1.0
        return torch.as_tensor(1 - share * (1 - last))


def _rows(y: Tensor, keep: Tensor) -> Tensor:
    """Return what a branch gives for the examples that keep it, [N, ...] and [N], and 0 for the others."""
    return torch.where(keep.view(-1, *[1] * (y.ndim - 1)), y, 0.0)
