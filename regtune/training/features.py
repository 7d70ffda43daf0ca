"""The last layer of a network, the `nn.Linear` whose output is the logits, and the features that flow into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused


@contextmanager
def features_of(net: nn.Module, classes: int) -> Iterator[Callable[[Tensor], Tensor]]:
    """Within it, the function given returns what flowed into the last layer when the network gave these logits.

    It takes the logits [N, classes] of the newest forward pass, on any device and in any type that holds them,
    and returns features [N, d]: the input of the linear layer whose output these are, number by number; of the
    last to run if there are several. The layer is found by what it gives, not by name or order, so an auxiliary
    head or another network's habits do not matter. The function raises Refused if there is no such layer.
    """
    calls: list[tuple[Tensor, Tensor]] = []

    def note(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        # Only what can be logits: hidden activations of a whole network need not be held.
        if isinstance(output, Tensor) and output.ndim == 2 and output.shape[1] == classes:
            calls.append(((*args, *kwargs.values())[0].detach(), output.detach()))

    def features(logits: Tensor) -> Tensor:
        found = [given for given, output in calls if _same(output, logits)]
        calls.clear()
        if not found:
            raise Refused(
                f"training.tightness: expected a network whose logits are the output of an nn.Linear layer, "
                f"given {type(net).__name__}, where they are not; let it end in one, or drop training.tightness"
            )
        return found[-1]

    layers = [part for part in net.modules() if isinstance(part, nn.Linear)]
    hooks = [layer.register_forward_hook(note, with_kwargs=True) for layer in layers]
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


def check_last_layer(net: nn.Module, images: Tensor, classes: int) -> None:
    """Raise Refused for a network in which no linear layer gives the logits of images [N, C, H, W] in [0, 1]."""
    training = net.training
    net.eval()
    try:
        with torch.no_grad(), features_of(net, classes) as features:
            features(net(images, lambda signal, slot: signal))
    finally:
        net.train(training)


def _same(output: Tensor, logits: Tensor) -> bool:
    """Return whether all numbers are the same; NaN, which a network may well come to, is the same as NaN."""
    if output.shape != logits.shape:
        return False
    output, logits = output.double().cpu(), logits.double().cpu()
    return bool(((output == logits) | (output.isnan() & logits.isnan())).all())
