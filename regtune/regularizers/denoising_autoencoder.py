"""Denoising autoencoder: before training the network learns to make whole pictures out of damaged ones.

Changes: the initial weights, by pretraining of all layers but the last; a decoder that is thrown away.
Formula: minimize mean ||decoder(features(damaged x)) - x||^2, then train as ever.
Expect: better features where there are few labels and many pictures; nothing once labels abound.
Not with: a large learning rate afterwards, which forgets what was learned; see L2-SP.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import FloatDistribution, IntDistribution
from torch import Tensor, nn

from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.data import Splits
from regtune.networks import feature_count
from regtune.regularizers._base import Pretrained, Regularizer
from regtune.regularizers._pretraining import EPOCHS, PICTURES, WHICH, chosen, features, learned
from regtune.regularizers._tasks import check_features, some_pictures

DAMAGES = ("masking", "gaussian", "salt_and_pepper")


@dataclass(frozen=True, kw_only=True)
class DenoisingAutoencoder(Regularizer):
    """Pretrains the network, all layers at once, as the encoder of a denoising autoencoder with a linear decoder.

    Of the pixels in [0, 1] "masking" sets a share `corruption_level` to 0, "salt_and_pepper" to 0 or 1 alike, and
    "gaussian" adds normal noise of that standard deviation. The loss is the squared error, the mean over pixels and
    pictures; Adam minimizes it. The papers stack layers one by one; training all at once is the simpler protocol of
    later work. Source: P. Vincent et al., "Stacked Denoising Autoencoders" (JMLR 2010).
    """

    epochs: int = knob(
        default=20, legal="[0, 100000]", space=IntDistribution(5, 40, log=True), neutral=0, meaning=EPOCHS
    )
    noise: str = knob(default="masking", legal=DAMAGES, meaning="how pictures are damaged")
    corruption_level: float = knob(
        default=0.3,
        legal="[0, 1]",
        space=FloatDistribution(0.0, 0.5),
        meaning="share of the pixels that are damaged, or standard deviation of the noise",
    )
    learning_rate: float = knob(default=1e-3, legal="(0, 1]", meaning="of Adam, before training")
    batch: int = knob(default=100, legal="[1, 100000]", meaning="pictures of a step, before training")
    pictures: str = knob(default="all", legal=PICTURES, meaning=WHICH)

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for a network without features."""
        check_features(net, "epochs")

    def pretrain(self, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        """Return the network as the encoder that was learned."""
        if not self.epochs:
            return Pretrained(net=net, examples=0)
        pictures, x = chosen(data, self.pictures), some_pictures(net, data)
        width = feature_count(net, x)
        decoder = nn.Linear(width, x[0].numel(), device=x.device, dtype=x.dtype)
        with torch.no_grad():
            bound = width**-0.5
            for name, value in decoder.named_parameters():
                value.copy_((2 * noise.uniform(f"decoder.{name}", value.shape) - 1) * bound)

        def loss(x: Tensor, places: Tensor, step: Rng) -> Tensor:
            restored: Tensor = decoder(features(net, self.damaged(x, step)))
            return (restored - x.flatten(1)).square().mean()

        examples = learned(
            loss,
            nn.ModuleList([net, decoder]),
            pictures,
            noise,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
        return Pretrained(net=net, examples=examples)

    def damaged(self, x: Tensor, step: Rng) -> Tensor:
        """Return pictures [N, C, H, W] in [0, 1] with noise."""
        if self.noise == "gaussian":
            noise: Tensor = step.normal("damage", x.shape).to(x)
            return x + self.corruption_level * noise
        hit: Tensor = step.uniform("damage", x.shape) < self.corruption_level
        if self.noise == "masking":
            return x.masked_fill(hit, 0.0)
        return torch.where(hit, (step.uniform("salt", x.shape) < 0.5).to(x), x)
