"""Fixed random features and a linear layer that is trained on them: a kernel method, as a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._initializers import Drawn


@dataclass(frozen=True, kw_only=True)
class RandomFeatures(Network):
    """sqrt(2 / N) cos(<v, x> + b) or sqrt(2 / N) max(<v, x>, 0), v ~ N(0, I / sigma^2), b ~ U[0, 2 pi).

    Slots: `input`; `hidden` on the N features. They are buffers, redrawn for every seed, and are not trained.
    Inner products of fourier features approach exp(-|x - y|^2 / (2 sigma^2)), those of relu features the
    arc-cosine kernel of degree 1 over sigma^2, both as 1 / sqrt(N). x is a normalized picture: sigma for
    pixels in [0, 1] has to be divided by the standard deviation of the pixels; the sigma = 5 of M. Belkin et
    al. on MNIST is about 16 here. Source: A. Rahimi, B. Recht, "Random Features for Large-Scale Kernel
    Machines" (NIPS 2007); Y. Cho, L. Saul, "Kernel Methods for Deep Learning" (NIPS 2009) for relu.
    """

    features: int = knob(default=1000, legal="[1, 1000000]", meaning="N, the number of features")
    sigma: float = knob(default=10.0, legal="(0, 1e6]", meaning="width of the kernel, for normalized pictures")
    kind: str = knob(default="fourier", legal=("fourier", "relu"), meaning="cosines with random phase, or relu")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; its features are 0 until they are drawn."""
        return _RandomFeatures(self, shape, classes)


class _RandomFeatures(nn.Module):
    def __init__(self, settings: RandomFeatures, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.features = Features(settings, math.prod(shape))
        self.hidden = Slot("hidden")
        self.head = nn.Linear(settings.features, classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        h = self.features(self.input(self.normalize(x).flatten(1), bend))
        logits: Tensor = self.head(self.hidden(h, bend))
        return logits


class Features(Drawn):
    """[N, inputs] -> [N, features], fixed."""

    directions: Tensor
    phases: Tensor

    def __init__(self, settings: RandomFeatures, inputs: int) -> None:
        super().__init__()
        self.sigma, self.kind, self.scale = settings.sigma, settings.kind, math.sqrt(2 / settings.features)
        self.register_buffer("directions", torch.zeros(settings.features, inputs))
        self.register_buffer("phases", torch.zeros(settings.features))

    def draw(self, rng: Rng) -> None:
        """Draw directions, and phases where there are some."""
        self.directions.copy_(rng.normal("directions", self.directions.shape) / self.sigma)
        if self.kind == "fourier":
            self.phases.copy_(rng.uniform("phases", self.phases.shape) * (2 * math.pi))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of x."""
        projected = linear(x, self.directions, self.phases)
        return self.scale * (projected.cos() if self.kind == "fourier" else projected.relu())
