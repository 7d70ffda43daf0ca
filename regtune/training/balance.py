"""Classes that are unequal: by what each example's loss is multiplied, or how often it is drawn.

The weight of class c of K is N / (K n_c), as scikit-learn's "balanced", so that weights have mean 1 over the training
examples. It goes by the label that an example has in the data, and multiplies the cross-entropy with whatever target a
recipe makes of it: what minimizes that is the target itself, smoothed or mixed, at any weight. PyTorch's weighted
cross-entropy multiplies each class's part of a target instead, and is minimized by other probabilities.

    "weights": mean over the batch of w_i CE(target_i, logits_i)
    "sampler": an epoch is as many examples as ever, drawn with replacement with probability w_i / N
"""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.core.rng import Rng

WEIGHTS = "example_weights"  # beside inputs and targets, for the objective alone


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return the weight of each class [..., K] (float64) by labels [..., N]; 0 of a class without examples."""
    counts = torch.nn.functional.one_hot(labels, classes).sum(-2).double()
    return torch.where(counts > 0, labels.shape[-1] / (classes * counts.clamp_min(1)), 0.0)


def balanced_order(labels: Tensor, classes: int, rng: Rng) -> Tensor:
    """Return as many places as there are labels [N], drawn with replacement so that classes come equally often."""
    ends = class_weights(labels, classes)[labels].cumsum(0)
    drawn = rng.uniform("sampler", (len(labels),)).to(ends) * ends[-1]
    return torch.searchsorted(ends, drawn, right=True).clamp_max(len(labels) - 1)
