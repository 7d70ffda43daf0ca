"""Networks that the product trains, for studies that look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from regtune.core.records import Json, Trial
from regtune.data import Splits
from regtune.networks import Bend
from regtune.training.lane import Lane


def trial_of(recipe: Sequence[Json] = (), **changes: Any) -> Trial:
    """Return a trial on handwritten digits with a small network, with these changes."""
    settings: dict[str, Any] = {
        "data": {"name": "digits", "train": 200},
        "network": {"name": "mlp", "widths": [64]},
        "optimizer": {"name": "sgd", "learning_rate": 0.02},
        "epochs": 20,
        "batch": 20,
        "seed": 0,
    }
    return Trial(**(settings | changes), recipe=tuple(recipe))


def trained(trial: Trial, data: Splits | None = None) -> Lane:
    """Return the lane of a trial after its last epoch."""
    lane = Lane((trial,), data=data)
    for _ in lane:
        pass
    return lane


def bent_logits(lane: Lane, x: Tensor, bend: Bend) -> Tensor:
    """Return the logits of pictures [N, C, H, W] when signals are bent in this way."""
    params, buffers = lane.kept_at(0)
    return lane.train_step.objective.forward(params, buffers, x, bend)


def plain_logits(lane: Lane, x: Tensor) -> Tensor:
    """Return the logits of pictures [N, C, H, W] in evaluation."""
    params, buffers = lane.kept_at(0)
    return lane.train_step.logits(params, buffers, lane.knobs, x)
