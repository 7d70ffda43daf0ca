"""Rotation prediction: beside the class of a picture the network tells how many quarter turns it was turned by.

Changes: the objective, by a second task on the same features; a head that is not exported.
Formula: J + weight * mean CE(r, head(features(turned(x, r)))), r in {0, 90, 180, 270} degrees, each for a quarter of
the batch; with pictures = all the mean is over as many pictures without labels too.
Expect: better features where labels are few, and better calibrated answers; little where they are many.
Not with: pictures that look the same turned (0, 1, 8 of digits), or whose class is a turn of another (6 and 9); with
horizontal flips a quarter turn and its mirror image are both seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.data import Splits
from regtune.networks import answers, has_head, with_head
from regtune.regularizers._base import Forward, Regularizer
from regtune.regularizers._pretraining import PICTURES, WHICH
from regtune.regularizers._tasks import (
    WEIGHTING,
    WEIGHTINGS,
    check_features,
    check_squares,
    check_unlabelled,
    some_pictures,
    task_pictures,
    weighed,
    weighing,
)

TURNS, HEAD = 4, "rotation"


@dataclass(frozen=True, kw_only=True)
class RotationPrediction(Regularizer):
    """Adds the cross-entropy of telling quarter turns to the objective.

    As the auxiliary loss of D. Hendrycks et al., "Using Self-Supervised Learning Can Improve Model Robustness and
    Uncertainty" (NeurIPS 2019), weight 0.5: the class is learned from pictures as they are. With `pictures` "all" it is
    the loss L_l + w L_u of X. Zhai et al., "S4L" (ICCV 2019), on batches of one size with and without labels, the mean
    of both as in their code, w = 1; but they learn the class from turned pictures too, and turn each picture by all
    four angles. Turns are exact, without interpolation. The second pass leaves no trace in the statistics of BatchNorm.
    Source: S. Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations" (ICLR 2018).
    """

    on_tables: ClassVar[str] = "denoising_autoencoder"

    weight: Number = knob(
        default=0.5,
        legal="[0, 1e6]",
        space=FloatDistribution(0.05, 2.0, log=True),
        neutral=0.0,
        meaning="factor of the loss of the second task",
    )
    weighting: str = knob(default="fixed", legal=WEIGHTINGS, late=True, meaning=WEIGHTING)
    pictures: str = knob(default="train", legal=PICTURES, late=True, meaning=WHICH)

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for pictures that are not square, which turned have another shape, or without features.

        Also for pictures without labels where there are none.
        """
        check_features(net)
        check_squares(data)
        check_unlabelled(data, self.pictures)

    def wants_unlabelled(self) -> bool:
        """Return whether pictures without labels are turned too."""
        return self.pictures == "all"

    def prepare(self, net: nn.Module, data: Splits) -> nn.Module:
        """Return the network with a head for turns; as it is where the weight is 0."""
        if not self.weight:
            return net
        net = with_head(net, some_pictures(net, data), HEAD, TURNS)
        return weighing(net, HEAD, self.weight, self.weighting)

    def penalty(self, step: Forward) -> Number:
        """Return the price of not knowing the turns."""
        if not has_head(step.params, HEAD):
            return 0.0
        x = task_pictures(step)
        # Batches are in random order, so every picture has each turn as often, and a batch a quarter of each.
        turns = (torch.arange(len(x), device=x.device) + step.noise.below(TURNS, "turn", ())) % TURNS
        scores = answers(step.params, HEAD, step.features(turned(x, turns)))
        loss = -scores.log_softmax(-1).gather(-1, turns[:, None]).mean()
        return weighed(step, HEAD, self.weight, loss)


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Return square pictures [N, C, S, S], each turned counter-clockwise by its number of quarter turns [N]."""
    every = torch.stack([torch.rot90(x, quarter, (2, 3)) for quarter in range(TURNS)])
    place = turns.reshape(1, -1, 1, 1, 1).expand(1, *x.shape)
    return every.gather(0, place)[0]
