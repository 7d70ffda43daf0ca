"""Confidence penalty: overconfident predictions are penalized.

Changes: the objective, through the logits.
Formula: J - strength * H(p), H the entropy of the predicted distribution, mean over the batch.
Expect: softer predictions and better calibration, accuracy hardly changed.
Not with: label smoothing, which pulls towards the uniform distribution by the reverse divergence.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers._base import Forward, Regularizer


@dataclass(frozen=True, kw_only=True)
class ConfidencePenalty(Regularizer):
    """Subtracts strength * entropy of the predicted distribution, the mean over the batch, in nats.

    Label smoothing uses the reverse KL divergence: its divergence is from the uniform distribution, this one's
    towards it. Source: G. Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output
    Distributions" (ICLR workshop 2017).
    """

    strength: Number = knob(
        default=0.1,
        legal="[0, 1000]",
        space=FloatDistribution(0.01, 1.0, log=True),
        neutral=0.0,
        meaning="factor of the entropy",
    )

    def penalty(self, step: Forward) -> Number:
        """Return minus the scaled entropy."""
        logs = step.logits.log_softmax(-1)
        return self.strength * (logs.exp() * logs).sum(-1).mean()
