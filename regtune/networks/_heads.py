"""Heads for further tasks: linear layers beside the network's own last one, on the same features.

The features are what leaves a features slot, or else the last hidden slot outside of residual branches, bent. A head's
weights are parameters of the network, so they train, resume and share lanes as all others do; the network's own forward
pass does not use them, and what is measured or exported of a network is without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from regtune.core.state import Tensors
from regtune.networks._base import Slot, slots

HEADS = "auxiliary_heads"
LOG_VARIANCES = "log_variances"  # of the losses of tasks, beside the heads


def gives_features(slot: Slot) -> bool:
    """Return whether what leaves a slot are the features of its network."""
    last = slot.kind == "hidden" and slot.number == slot.count
    return slot.kind == "features" or (last and not slot.inner and not slot.followed)


def has_features(net: nn.Module) -> bool:
    """Return whether a network has features that a head can read."""
    return any(map(gives_features, slots(net)))


def with_head(net: nn.Module, images: Tensor, name: str, outputs: int) -> nn.Module:
    """Return the network with a head for `outputs` classes, its weights 0; `images` [N, C, H, W] tell its inputs.

    At 0 all answers are equally likely, and nothing is drawn. The network is one that `has_features`.
    """
    head = nn.Linear(feature_count(net, images), outputs, device=images.device, dtype=images.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return with_part(net, name, head)


def with_part(net: nn.Module, name: str, part: nn.Module) -> nn.Module:
    """Return the network with parameters for a further task, which its own forward pass does not use."""
    if not hasattr(net, HEADS):
        net.add_module(HEADS, nn.ModuleDict())
    net.get_submodule(HEADS).add_module(name, part)
    return net


def with_log_variances(net: nn.Module, starts: Mapping[str, float]) -> nn.Module:
    """Return the network with a log-variance for the loss of each of these tasks, which begins there."""
    first = next(net.parameters())
    values = {name: nn.Parameter(first.new_full((), start)) for name, start in starts.items()}
    return with_part(net, LOG_VARIANCES, nn.ParameterDict(values))


def log_variance(params: Tensors, name: str) -> Tensor | None:
    """Return the log-variance (0-dim) of a task's loss; None where the network has none."""
    return params.get(f"{HEADS}.{LOG_VARIANCES}.{name}")


def feature_count(net: nn.Module, images: Tensor) -> int:
    """Return how many features a network that `has_features` makes of a picture; `images` are some, [N, C, H, W]."""
    found = list[int]()

    def bend(signal: Any, slot: Slot) -> Any:
        if gives_features(slot):
            found.append(signal.flatten(1).shape[1])
        return signal

    training = net.training
    net.eval()
    with torch.no_grad():
        net(images, bend)
    net.train(training)
    return found[0]


def has_head(params: Tensors, name: str) -> bool:
    """Return whether a network with these parameters has a head."""
    return f"{HEADS}.{name}.weight" in params


def answers(params: Tensors, name: str, features: Tensor) -> Tensor:
    """Return the logits [N, outputs] of a head for features [N, d]."""
    return linear(features, params[f"{HEADS}.{name}.weight"], params[f"{HEADS}.{name}.bias"])


def without_heads(params: Tensors) -> Tensors:
    """Return the parameters of the network itself."""
    return {name: value for name, value in params.items() if not name.startswith(f"{HEADS}.")}
