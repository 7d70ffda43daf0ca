"""How initial weights are drawn: named schemes, keyed by parameter name, from counter-based random numbers.

`torch` is what torch does by itself: weights and biases uniform within 1 / sqrt(fan_in). All others start
biases at 0. `he`: normal, variance 2 / fan_in; `he_fan_out`: normal, variance 2 / fan_out, which is what the
authors' code of wide residual networks does. Source: K. He et al., "Delving Deep into Rectifiers" (ICCV
2015). `glorot`: uniform within sqrt(6 / (fan_in + fan_out)). Source: X. Glorot, Y. Bengio, "Understanding the
difficulty of training deep feedforward neural networks" (AISTATS 2010). `srivastava`: normal, variance
1 / fan_out, as deepnet, the code released with N. Srivastava et al., "Dropout" (JMLR 2014), starts a layer
(what it calls fan-in is the second dimension of an in x out matrix).

`keep` draws nothing: the weights are those that `build` returns, of a file that it loads, say. What `build` draws for
itself is then from a generator seeded with the trial's seed.
"""

from __future__ import annotations

import abc
import math

from torch import Tensor, nn

from regtune.core.rng import Rng

SCHEMES = ("torch", "he", "he_fan_out", "glorot", "srivastava")
KEEP = "keep"
INITS = (*SCHEMES, KEEP)
MEANING = "how initial weights are drawn"


class Drawn(nn.Module, abc.ABC):
    """A part that draws what it holds by itself, such as fixed random features."""

    @abc.abstractmethod
    def draw(self, rng: Rng) -> None:
        """Fill own buffers or parameters in place, from these random numbers only."""


def draw(module: nn.Module, scheme: str, rng: Rng) -> None:
    """Draw the linear and convolution layers of a module in place, and whatever draws itself."""
    for name, part in module.named_modules():
        if isinstance(part, Drawn):
            part.draw(rng.at(name))
        elif scheme != KEEP and isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            for kind, value in part.named_parameters(recurse=False):
                value.copy_(_start(scheme, kind, part.weight, value, rng, f"{name}.{kind}"))


def _start(scheme: str, kind: str, weight: Tensor, value: Tensor, rng: Rng, site: str) -> Tensor:
    """Return what the parameter `value` of a layer with this weight [out, in, ...] starts at."""
    fan_in = weight[0].numel()
    fan_out = weight.numel() // weight.shape[1]
    if scheme == "torch":
        return (2 * rng.uniform(site, value.shape) - 1) * (1 / math.sqrt(fan_in))
    if kind == "bias":
        return value.new_zeros(value.shape)
    if scheme == "glorot":
        return (2 * rng.uniform(site, value.shape) - 1) * math.sqrt(6 / (fan_in + fan_out))
    variance = {"he": 2 / fan_in, "he_fan_out": 2 / fan_out, "srivastava": 1 / fan_out}[scheme]
    return rng.normal(site, value.shape) * math.sqrt(variance)
