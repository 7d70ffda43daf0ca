"""SWA: the weights that are evaluated are the mean of those at the ends of the last epochs.

Changes: which weights are evaluated and kept; training is unchanged.
Formula: mean of w over the ends of the epochs after `start` of the budget; BatchNorm's statistics are
recomputed for it over the training data.
Expect: flatter minima and a gain where the learning rate stays high in the averaged part.
Not with: a schedule that ends at 0, which leaves nothing to average; EMA, use one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.regularizers._base import Regularizer, Statistics, Step

COUNT = "averaged epochs"  # no parameter has a space in its name


@dataclass(frozen=True, kw_only=True)
class SWA(Regularizer):
    """Stochastic weight averaging, one snapshot per epoch; the learning rate is left to the schedule.

    Source: P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization"
    (UAI 2018); `torch.optim.swa_utils`.
    """

    start: Number = knob(
        default=0.75,
        legal="[0, 1]",
        space=FloatDistribution(0.5, 0.9),
        neutral=1.0,
        meaning="share of the budget that is over when averaging begins",
    )

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember nothing yet: no epochs."""
        zeros = {name: torch.zeros_like(p) for name, p in state.params.items()}
        return {**zeros, COUNT: torch.zeros((), device=next(iter(zeros.values())).device)}

    def remember(self, state: TrainState, step: Step) -> Tensors:
        """Take the weights at the end of an epoch into the mean."""
        if not step.ends_epoch:
            return step.memory
        counts = torch.as_tensor(self.start) <= step.progress
        count = step.memory[COUNT] + counts

        def share(p: Tensor) -> Tensor:  # in the weight's own precision
            return torch.where(counts, 1 / count.clamp_min(1.0).to(p.dtype), 0.0)

        mean = {n: torch.lerp(step.memory[n], p, share(p)) for n, p in state.params.items()}
        return {**mean, COUNT: count}

    def evaluate(
        self, params: Tensors, buffers: Tensors, statistics: Statistics, step: Step
    ) -> tuple[Tensors, Tensors]:
        """Return the mean with statistics of its own; the weights that train before there is one."""
        averaged = step.memory[COUNT] > 0
        if step.host is not None and not averaged.item():  # alone: recomputing statistics costs an epoch's passes
            return params, buffers
        mean = {name: torch.where(averaged, step.memory[name], p) for name, p in params.items()}
        fresh = statistics(mean)
        return mean, {name: torch.where(averaged, fresh[name], b) for name, b in buffers.items()}
