"""Rotation pretraining: before training the network learns to tell by how many quarter turns a picture was turned.

Changes: the initial weights, by pretraining of all layers but the last; a head that is thrown away.
Formula: minimize mean CE(r, head(features(turned(x, r)))) over r in {0, 90, 180, 270} degrees, then train as ever.
Expect: better features where there are few labels and many pictures with an upright position.
Not with: pictures that look the same turned (0, 1, 8 of digits), or whose class is a turn of another (6 and 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from optuna.distributions import IntDistribution
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.data import Splits
from regtune.networks import feature_count
from regtune.regularizers._base import Pretrained, Regularizer
from regtune.regularizers._pretraining import EPOCHS, PICTURES, WHICH, chosen, features, learned
from regtune.regularizers._tasks import check_features, check_squares, some_pictures
from regtune.regularizers.rotation_prediction import TURNS


@dataclass(frozen=True, kw_only=True)
class RotationPretraining(Regularizer):
    """Pretrains the network on all four turns of each picture, as RotNet does.

    The source trains with SGD on CIFAR-10, then a classifier on frozen features; here Adam, and all layers go on.
    Source: S. Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations" (ICLR 2018).
    """

    on_tables: ClassVar[str] = "denoising_autoencoder"

    epochs: int = knob(
        default=20, legal="[0, 100000]", space=IntDistribution(5, 40, log=True), neutral=0, meaning=EPOCHS
    )
    learning_rate: float = knob(default=1e-3, legal="(0, 1]", meaning="of Adam, before training")
    batch: int = knob(default=32, legal="[1, 100000]", meaning="pictures of a step, each of them four times")
    pictures: str = knob(default="all", legal=PICTURES, meaning=WHICH)

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for pictures that are not square, or a network without features."""
        check_features(net, "epochs")
        check_squares(data, "epochs")

    def pretrain(self, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        """Return the network that tells turns."""
        if not self.epochs:
            return Pretrained(net=net, examples=0)
        pictures, x = chosen(data, self.pictures), some_pictures(net, data)
        width = feature_count(net, x)
        head = nn.Linear(width, TURNS, device=x.device, dtype=x.dtype)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)

        def loss(x: Tensor, places: Tensor, step: Rng) -> Tensor:
            turned = torch.cat([torch.rot90(x, turn, (2, 3)) for turn in range(TURNS)])
            turns = torch.arange(TURNS, device=x.device).repeat_interleave(len(x))
            return cross_entropy(head(features(net, turned)), turns)

        examples = learned(
            loss,
            nn.ModuleList([net, head]),
            pictures,
            noise,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
        return Pretrained(net=net, examples=TURNS * examples)
