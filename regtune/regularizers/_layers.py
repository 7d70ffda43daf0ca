"""Layers of a network: the parameters of each, and where its slots cut it into layers that can be trained in turn.

A layer is a matrix or a kernel with its bias and the normalization behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.state import Tensors
from regtune.networks import Slot, without_heads

PICTURES = ""  # where the first layer begins, as the label of a slot


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What lies between two slots, by label: `names` are those of its parameters. The first is fed with `PICTURES`."""

    below: str
    above: str
    names: tuple[str, ...]

    def run(self, net: nn.Module, x: Tensor, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the layers below make of pictures, and what this one makes of that once it was changed.

        No gradient reaches the layers below.
        """
        seen: dict[str, Tensor] = {PICTURES: x}

        def bend(signal: Any, slot: Slot) -> Any:
            if slot.label not in (self.below, self.above):
                return signal
            seen[slot.label] = signal.detach() if slot.label == self.below else signal
            return change(seen[self.below]) if slot.label == self.below else signal

        net(change(x) if self.below == PICTURES else x, bend)
        return seen[self.below], seen[self.above]


def layers(params: Tensors) -> list[list[str]]:
    """Return the names of a network's own parameters by layer: each begins with a weight that is no vector."""
    found: list[list[str]] = [[]]
    begun = False
    for name, value in without_heads(params).items():
        if value.ndim > 1 and begun:
            found.append([])
        begun = begun or value.ndim > 1
        found[-1].append(name)
    return found


def cut(net: nn.Module, images: Tensor) -> list[Layer]:
    """Return the layers of a network but the last, from the first on; `images` [N, C, H, W] are some.

    Raises Refused where its slots do not cut it into single layers of which each is fed by the one before alone.
    """
    mode = {part: part.training for part in net.modules()}
    net.eval()  # a look at a network leaves no trace in its running statistics
    try:
        found = list(_cut(net, images))
    finally:
        for part, training in mode.items():
            part.training = training
    trunk = {name for layer in layers(dict(net.named_parameters()))[:-1] for name in layer}
    if not trunk:
        raise _refused("with no layer but the last")
    if {name for layer in found for name in layer.names} != trunk:
        raise _refused("some of whose layers lie between no two slots")
    return found


def _cut(net: nn.Module, images: Tensor) -> Iterable[Layer]:
    params: Tensors = dict(net.named_parameters())
    x = images.clone().requires_grad_()
    learned: set[str] = set()
    below = PICTURES
    for above in _places(net, images):
        layer = Layer(below=below, above=above, names=())
        _, code = layer.run(net, x, Tensor.requires_grad_)  # behind a pooling there may be no weights
        origins = torch.autograd.grad(code.sum(), [x, *params.values()], allow_unused=True)
        names = tuple(name for name, origin in zip(params, origins[1:], strict=True) if origin is not None)
        if learned.intersection(names) or (below != PICTURES and origins[0] is not None):
            raise _refused(f"in which what is in front of {below} reaches {above} around it")
        count = sum(params[name].ndim > 1 for name in names)
        if count > 1:
            raise _refused(f"with {count} layers between {below or 'the pictures'} and {above}")
        if names:
            yield Layer(below=below, above=above, names=names)
        learned.update(names)
        below = above


def _places(net: nn.Module, images: Tensor) -> list[str]:
    """Return the labels of the slots that activations of all layers flow through, in the order of a forward pass."""
    found: list[str] = []

    def bend(signal: Any, slot: Slot) -> Any:
        if slot.kind in ("hidden", "features") and not slot.inner:
            found.append(slot.label)
        return signal

    with torch.no_grad():
        net(images, bend)
    return found


def _refused(given: str) -> Refused:
    return Refused(
        f"layerwise: expected a network with a hidden slot behind each layer but the last, as an mlp, given one "
        f"{given}; set it to false, which trains all layers at once"
    )
