"""Denoising autoencoder: before training the network learns to make whole pictures out of damaged ones.

Changes: the initial weights, by pretraining of all layers but the last; a decoder that is thrown away.
Formula: minimize mean ||decoder(features(damaged x)) - x||^2, then train as ever. Layer by layer: of each layer k in
turn minimize mean ||decoder_k(layer_k(damaged h)) - h||^2, h what the layers below, which stay, make of whole pictures.
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
from regtune.data import Examples, Splits
from regtune.networks import feature_count
from regtune.regularizers._base import Pretrained, Regularizer
from regtune.regularizers._layers import Layer, cut
from regtune.regularizers._pretraining import EPOCHS, PICTURES, WHICH, Loss, chosen, features, learned
from regtune.regularizers._tasks import check_features, some_pictures

DAMAGES = ("masking", "gaussian", "salt_and_pepper")


@dataclass(frozen=True, kw_only=True)
class DenoisingAutoencoder(Regularizer):
    """Pretrains the network as the encoder of a denoising autoencoder with a linear decoder: all layers, or one by one.

    Of the pixels in [0, 1] "masking" sets a share `corruption_level` to 0, "salt_and_pepper" to 0 or 1 alike, and
    "gaussian" adds normal noise of that standard deviation. The loss is the squared error, the mean over pixels and
    pictures; Adam minimizes it. The paper stacks layers one by one (`layerwise`), each with a decoder of its own and
    `epochs` passes; activations are then damaged as pixels are. All at once is the simpler protocol of later work.
    Normalization below the layer that learns is that of evaluation.
    Source: P. Vincent et al., "Stacked Denoising Autoencoders" (JMLR 2010).
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
    layerwise: bool = knob(
        default=False, late=True, meaning="whether layers learn in turn (greedily), each on what those below it make"
    )

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for a network without features, or with layers that cannot be trained in turn."""
        check_features(net, "epochs")
        if self.layerwise:
            cut(net, some_pictures(net, data))

    def pretrain(self, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        """Return the network as the encoder that was learned."""
        if not self.epochs:
            return Pretrained(net=net, examples=0)
        pictures, x = chosen(data, self.pictures), some_pictures(net, data)
        if self.layerwise:
            stack = enumerate(cut(net, x))
            return Pretrained(net=net, examples=sum(self._layer(net, part, x, pictures, noise, k) for k, part in stack))
        decoder = _decoder(feature_count(net, x), x, noise)

        def loss(x: Tensor, places: Tensor, step: Rng) -> Tensor:
            restored: Tensor = decoder(features(net, self.damaged(x, step)))
            return (restored - x.flatten(1)).square().mean()

        return Pretrained(net=net, examples=self._learned(loss, nn.ModuleList([net, decoder]), pictures, noise))

    def _layer(self, net: nn.Module, layer: Layer, images: Tensor, pictures: Examples, noise: Rng, number: int) -> int:
        """Train one layer of the network, in place, and return the examples seen; all others stay, buffers too."""
        noise = noise.at(f"layer{number}")
        with torch.no_grad():
            below, code = layer.run(net.eval(), images, lambda signal: signal)
        decoder = _decoder(code[0].numel(), below, noise)
        params = dict(net.named_parameters())
        weights = [params[name] for name in layer.names]
        for part in net.modules():
            own = part.parameters(recurse=False)
            part.training = any(value is weight for value in own for weight in weights)

        def loss(x: Tensor, places: Tensor, step: Rng) -> Tensor:
            whole, code = layer.run(net, x, lambda signal: self.damaged(signal, step))
            restored: Tensor = decoder(code.flatten(1))
            return (restored - whole.flatten(1)).square().mean()

        return self._learned(loss, nn.ModuleList([nn.ParameterList(weights), decoder]), pictures, noise)

    def _learned(self, loss: Loss, parts: nn.Module, pictures: Examples, noise: Rng) -> int:
        return learned(
            loss, parts, pictures, noise, epochs=self.epochs, batch=self.batch, learning_rate=self.learning_rate
        )

    def damaged(self, x: Tensor, step: Rng) -> Tensor:
        """Return pictures [N, C, H, W] in [0, 1], or activations [N, ...], with noise."""
        if self.noise == "gaussian":
            noise: Tensor = step.normal("damage", x.shape).to(x)
            return x + self.corruption_level * noise
        hit: Tensor = step.uniform("damage", x.shape) < self.corruption_level
        if self.noise == "masking":
            return x.masked_fill(hit, 0.0)
        return torch.where(hit, (step.uniform("salt", x.shape) < 0.5).to(x), x)


def _decoder(width: int, whole: Tensor, noise: Rng) -> nn.Linear:
    """Return a linear layer from `width` features to what is to be restored, with its initial weights."""
    decoder = nn.Linear(width, whole[0].numel(), device=whole.device, dtype=whole.dtype)
    with torch.no_grad():
        bound = width**-0.5
        for name, value in decoder.named_parameters():
            value.copy_((2 * noise.uniform(f"decoder.{name}", value.shape) - 1) * bound)
    return decoder
