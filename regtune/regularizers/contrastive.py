"""Contrastive: two views of a picture are to have features closer to each other than to those of other pictures.

Changes: the objective, by a second task on the same features; a projection that is not exported.
Formula: J + weight * mean over the 2 N views of -log(exp(s(i, j) / t) / sum over all k but i of exp(s(i, k) / t)), j
the other view of i's picture, s the cosine of the projected features, t the temperature.
Expect: features that do not hear of shifts; more where labels are few. Two further views of each picture go through the
network; in `multitask_small` its trials took two and a half times as long.
Not with: small batches, in which there is little to be told apart; classes that one shift turns into another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors
from regtune.data import Splits
from regtune.networks import HEADS, feature_count, with_part
from regtune.regularizers._base import Forward, Regularizer, Step
from regtune.regularizers._pretraining import PICTURES, WHICH
from regtune.regularizers._tasks import (
    WEIGHTING,
    WEIGHTINGS,
    check_features,
    check_unlabelled,
    some_pictures,
    task_pictures,
    weighed,
    weighing,
)
from regtune.regularizers.horizontal_flip import HorizontalFlip
from regtune.regularizers.random_crop import RandomCrop

PROJECTION = "contrastive"


@dataclass(frozen=True, kw_only=True)
class Contrastive(Regularizer):
    """Adds SimCLR's loss (NT-Xent) of two shifted, mirrored views of every picture of a batch to the objective.

    The views are made of the inputs as the recipe augments them, by `random_crop` and `horizontal_flip`; the
    projection is linear, ReLU, linear, as in the paper. Labels are not looked at; with `pictures` "all" the batch
    has as many pictures without any, too. Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A Simple Framework for
    Contrastive Learning of Visual Representations" (ICML 2020).
    """

    on_tables: ClassVar[str] = "denoising_autoencoder"

    weight: Number = knob(
        default=0.5,
        legal="[0, 1e6]",
        space=FloatDistribution(0.05, 2.0, log=True),
        neutral=0.0,
        meaning="factor of the loss of the second task",
    )
    temperature: Number = knob(
        default=0.5,
        legal="[1e-3, 1e3]",
        space=FloatDistribution(0.1, 1.0, log=True),
        meaning="cosines are divided by it",
    )
    padding: Number = knob(default=2.0, legal="[0, 1024]", meaning="pixels by which views are shifted, at most")
    p_flip: Number = knob(default=0.0, legal="[0, 1]", meaning="probability to mirror a view")
    width: int = knob(default=64, legal="[1, 65536]", meaning="numbers into which features are projected")
    weighting: str = knob(default="fixed", legal=WEIGHTINGS, meaning=WEIGHTING)
    pictures: str = knob(default="train", legal=PICTURES, late=True, meaning=WHICH)

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for a network without features, shifts that leave nothing of a picture, or no pictures."""
        check_features(net)
        check_unlabelled(data, self.pictures)
        RandomCrop(padding=self.padding).check(net, data)
        if not self.padding and not self.p_flip:
            raise Refused("padding: expected views that differ, given 0 pixels and p_flip = 0; raise one of them")

    def wants_unlabelled(self) -> bool:
        """Return whether there are views of pictures without labels too."""
        return self.pictures == "all"

    def prepare(self, net: nn.Module, data: Splits) -> nn.Module:
        """Return the network with a projection of its features; as it is where the weight is 0."""
        if not self.weight:
            return net
        images = some_pictures(net, data)
        count = feature_count(net, images)
        layers = {"hidden": nn.Linear(count, count), "out": nn.Linear(count, self.width)}
        net = with_part(net, PROJECTION, nn.ModuleDict(layers).to(images.device, images.dtype))
        return weighing(net, PROJECTION, self.weight, self.weighting)

    def penalty(self, step: Forward) -> Number:
        """Return the price of views that are not recognized."""
        if f"{HEADS}.{PROJECTION}.out.weight" not in step.params:
            return 0.0
        if len(step.inputs) < 2:
            raise Refused(
                "weight: expected batches of two pictures or more, of one there is no other to tell; raise batch"
            )
        views = torch.cat([self._view(step, "first"), self._view(step, "second")])
        loss = nt_xent(_projected(step.params, step.features(views)), self.temperature)
        return weighed(step, PROJECTION, self.weight, loss)

    def _view(self, step: Forward, name: str) -> Tensor:
        """Return a view [N, C, H, W] of the pictures."""
        crop, flip = RandomCrop(padding=self.padding), HorizontalFlip(p=self.p_flip)
        now = Step(noise=step.noise.at(name), progress=step.progress, learning_rate=step.learning_rate)
        x, _ = crop.augment(task_pictures(step), step.targets, now)
        x, _ = flip.augment(x, step.targets, now)
        return x


def _projected(params: Tensors, features: Tensor) -> Tensor:
    """Return what the projection makes of features [N, d]."""
    at = f"{HEADS}.{PROJECTION}"
    hidden = linear(features, params[f"{at}.hidden.weight"], params[f"{at}.hidden.bias"]).relu()
    return linear(hidden, params[f"{at}.out.weight"], params[f"{at}.out.bias"])


def nt_xent(z: Tensor, temperature: Number) -> Tensor:
    """Return the normalized, temperature-scaled cross-entropy of 2 N projections [2 N, d]: row i belongs with i + N."""
    z = normalize(z, dim=-1)
    count = len(z)
    itself = torch.eye(count, dtype=torch.bool, device=z.device)
    scores = (z @ z.mT / temperature).masked_fill(itself, -math.inf)
    partners = torch.arange(count, device=z.device).roll(count // 2)
    return -scores.log_softmax(-1).gather(-1, partners[:, None]).mean()
