"""Squared loss as a method: what the experiments on double descent minimize instead of cross-entropy.

Changes: the objective.
Formula: (1 - share) * CE + share * sum over classes of (logit - target)^2, the mean over the batch, and penalties.
Expect: what is published is a peak of the test error where a network has just enough parameters to fit.
Not with: recipes tuned for cross-entropy: its gradients are others, so search the learning rate anew; tasks with
weighting = "uncertainty", which weigh cross-entropy.
"""

from __future__ import annotations

from dataclasses import dataclass

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.regularizers import Forward, Regularizer


@dataclass(frozen=True, kw_only=True)
class SquaredLoss(Regularizer):
    """Puts the squared distance of the logits from the targets in the place of their cross-entropy.

    Source: M. Belkin et al., "Reconciling modern machine-learning practice and the classical bias-variance trade-off"
    (PNAS 2019), appendix on neural networks.
    """

    share: Number = knob(default=1.0, legal="[0, 1]", neutral=0.0, meaning="share of the squared loss in the objective")

    def penalty(self, step: Forward) -> Number:
        """Return what the objective becomes more, or less, by."""
        squared = (step.logits - step.targets).square().sum(-1).mean()
        likelihood = -(step.targets * step.logits.log_softmax(-1)).sum(-1).mean()
        return self.share * (squared - likelihood)
