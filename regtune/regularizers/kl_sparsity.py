"""KL sparsity: each hidden unit should be active in a small share of the examples.

Changes: the objective, through the activations at the hidden slots (before dropout and other noise).
Formula: strength * sum over units of KL(target || mean), mean = the unit's mean activation in the batch;
the squared form: strength / 2 * sum over units of (mean - target)^2.
Expect: fewer active units per example; by itself a small gain (MNIST: 1.62 to 1.55 % beside L2).
Not with: the "kl" form on activations outside [0, 1], ReLU above all: use form = "squared" there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.networks import slots
from regtune.regularizers._base import Forward, Regularizer

EDGE = 1e-6  # means are held away from 0 and 1, where the divergence has no gradient


@dataclass(frozen=True, kw_only=True)
class KLSparsity(Regularizer):
    """Penalizes mean activations that differ from the target; a unit of a picture is a channel.

    The mean is over this batch (deepnet, the authors' code, takes a running mean of batches). The squared
    form is what deepnet computes for ReLU units. Source: A. Ng, "Sparse Autoencoder" (2011); beside L2 in
    N. Srivastava et al., "Dropout" (JMLR 2014), table 9.
    """

    needs: ClassVar[tuple[str, ...]] = ("hidden",)

    strength: Number = knob(
        default=1e-3,
        legal="[0, 1e6]",
        space=FloatDistribution(1e-4, 0.1, log=True),
        neutral=0.0,
        meaning="factor of the sum over units",
    )
    target: Number = knob(
        default=0.1, legal="(0, 1)", space=FloatDistribution(0.01, 0.3, log=True), meaning="wanted mean activation"
    )
    form: str = knob(default="squared", legal=("kl", "squared"), meaning="kl needs activations in [0, 1]")

    def check(self, net: nn.Module, data: Splits) -> None:
        """Refuse networks without activations to price, and the kl form where one may leave [0, 1]."""
        priced = [slot for slot in slots(net) if slot.kind == "hidden" and not slot.inner]
        if not priced:
            raise Refused(
                "network: expected a hidden slot outside residual branches, given none; "
                "take a network that has one, or leave this method out"
            )
        if self.form == "kl" and not all(slot.bounded for slot in priced):
            raise Refused(
                "form: expected hidden activations in [0, 1] for 'kl', given a network where they may leave it; "
                "set form = 'squared', or activation = 'sigmoid' without shortcuts in the network"
            )

    def penalty(self, step: Forward) -> Number:
        """Return the price of the mean activations."""
        means = [tap.transpose(0, 1).flatten(1).mean(1) for label, tap in step.taps.items() if "hidden" in label]
        return self.strength * sum(self._price(mean) for mean in means)

    def _price(self, mean: Tensor) -> Tensor:
        if self.form == "squared":
            return (mean - self.target).square().sum() / 2
        target, mean = torch.as_tensor(self.target), mean.clamp(EDGE, 1 - EDGE)
        return (target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()).sum()
