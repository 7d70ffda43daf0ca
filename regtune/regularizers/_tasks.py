"""What regularizers that add a further task to the objective have in common: its features, and what its loss weighs.

Fixed, the loss of the task counts `weight` times. By uncertainty the weights are learned, after A. Kendall, Y. Gal,
R. Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics" (CVPR 2018): each
loss L of both tasks counts as exp(-s) L + s, s the log of its variance, a parameter of the network; for a given L the
best s is ln L. (For classes the paper has s / 2, and ln 2 L; the common form is this one.) The class loss begins with
s = 0, the other with the s at which exp(-s) is the `weight`. A loss that goes to 0, of examples learned by heart, would
drive its weight to infinity, so that is at most TIMES what it was at the start.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.state import Number
from regtune.data import Splits, pixels
from regtune.networks import has_features, log_variance, with_log_variances
from regtune.regularizers._base import Forward

WEIGHTINGS = ("fixed", "uncertainty")
WEIGHTING = "whether the factor stays, or is where both losses begin to be weighed by learned variances"
CLASS = "class"
TIMES = 3.0


def check_features(net: nn.Module, where: str = "weight") -> None:
    """Raise Refused, naming a knob, for a network without features that a task can share."""
    if not has_features(net):
        raise Refused(
            f"{where}: expected a network with a hidden or features slot in front of its last layer, this one has "
            f"none; place one there"
        )


def check_squares(data: Splits, where: str = "weight") -> None:
    """Raise Refused, naming a knob, for pictures that turned have another shape."""
    height, width = data.train.source.shape[2:]
    if height != width:
        raise Refused(
            f"{where}: expected square pictures, given {height} x {width}; leave this method out for these data"
        )


def check_unlabelled(data: Splits, pictures: str) -> None:
    """Raise Refused for all pictures where those of the training split are all: the trial would be another one.

    A few examples, to see whether training works, may be without.
    """
    if pictures == "all" and data.unlabelled is None and not data.few:
        raise Refused(
            "pictures: expected pictures that are in no split, which 'all' learns from too, these data as split leave "
            "none; lower train, or set pictures to 'train'"
        )


def task_pictures(step: Forward) -> Tensor:
    """Return the pictures that a task learns from: the inputs, and behind them as many without labels if it has any."""
    return step.inputs if step.unlabelled is None else torch.cat([step.inputs, step.unlabelled])


def some_pictures(net: nn.Module, data: Splits) -> Tensor:
    """Return two training pictures [2, C, H, W] as a network takes them."""
    first = next(net.parameters())
    return pixels(data.train.batches(2)[0], first.dtype).to(first.device)


def weighing(net: nn.Module, task: str, weight: Number, weighting: str) -> nn.Module:
    """Return the network with what the weighting of a task learns; raises Refused where it learns that of another."""
    if weighting == "fixed":
        return net
    if log_variance(dict(net.named_parameters()), CLASS) is not None:
        raise Refused(
            "recipe: expected one method with weighting = 'uncertainty', given two, which would each weigh the class "
            "loss; set that of one to 'fixed'"
        )
    return with_log_variances(net, {CLASS: 0.0, task: -math.log(float(weight))})


def weighed(step: Forward, task: str, weight: Number, loss: Tensor) -> Tensor:
    """Return what the loss of a task adds to the objective, the other weight of the class loss included."""
    of_class, of_task = log_variance(step.params, CLASS), log_variance(step.params, task)
    if of_class is None or of_task is None:
        return weight * loss
    likelihood = -(step.targets * step.logits.log_softmax(-1)).sum(-1).mean()
    lowest = -math.log(TIMES)
    of_class = of_class.clamp_min(lowest)
    of_task = torch.maximum(of_task, lowest - torch.as_tensor(weight).to(of_task).log())
    return torch.expm1(-of_class) * likelihood + of_class + (-of_task).exp() * loss + of_task
