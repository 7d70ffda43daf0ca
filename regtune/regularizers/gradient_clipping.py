"""Gradient clipping: a gradient that is too long is cut to a given length.

Changes: the gradient, before the optimizer sees it.
Formula: g * min(1, norm / |g|), |g| over all parameters together.
Expect: protection against rare huge steps, so larger learning rates survive; no effect where gradients are
short.
Not with: Adam as a regularizer, which rescales gradients anyway.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, length
from regtune.regularizers._base import Gradient, Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class GradientClipping(Regularizer):
    """Scales the gradient of the whole objective, penalties included, to at most a given norm.

    torch's `clip_grad_norm_` divides by |g| + 1e-6 instead. Source: R. Pascanu, T. Mikolov, Y. Bengio, "On
    the difficulty of training recurrent neural networks" (ICML 2013).
    """

    norm: Number = knob(
        default=1.0,
        legal="(0, 1e6]",
        space=FloatDistribution(0.3, 10.0, log=True),
        off=math.inf,
        neutral=math.inf,
        meaning="longest gradient that is left as it is",
    )

    def descend(self, gradient: Gradient, step: Step) -> Gradient:
        """Return the gradient, cut."""

        def clipped(params: Tensors) -> Tensors:
            grads = gradient(params)
            factor = (torch.as_tensor(self.norm) / length(grads)).clamp(max=1.0)
            return {name: grad * factor for name, grad in grads.items()}

        return clipped
