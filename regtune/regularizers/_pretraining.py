"""How methods train a network on another task before training proper: by Adam, on pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from regtune.core.rng import Rng
from regtune.data import Examples, Splits, joined, pixels
from regtune.networks import Slot, gives_features

PICTURES = ("train", "all")
WHICH = "pictures of the training split, or all that are in no other split too; labels are not looked at"
EPOCHS = "passes over the pictures before training; 0 for none"
Loss = Callable[[Tensor, Tensor, Rng], Tensor]  # of pictures [N, C, H, W] in [0, 1], their places, noise of the step


def chosen(data: Splits, which: str) -> Examples:
    """Return the pictures to learn from."""
    if which == "train" or data.unlabelled is None:
        return data.train
    device = data.train.labels.device
    resident = data.train.source.device == device
    return joined(data.train, data.unlabelled.to(device, resident=resident))


def features(net: nn.Module, x: Tensor) -> Tensor:
    """Return what enters the last layer of a network [N, d] for pictures [N, C, H, W]."""
    found: list[Tensor] = []

    def bend(signal: Any, slot: Slot) -> Any:
        if gives_features(slot):
            found.append(signal)
        return signal

    net(x, bend)
    return found[-1].flatten(1)


def learned(
    loss: Loss,
    parts: nn.Module,
    pictures: Examples,
    noise: Rng,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
) -> int:
    """Train parts of a network, in place, on full batches of pictures in random order; return the examples seen."""
    first = next(parts.parameters())
    optimizer = torch.optim.Adam(parts.parameters(), lr=learning_rate)
    batch, seen = min(batch, len(pictures)), 0
    parts.train()
    for epoch in range(epochs):
        order = Rng(seed=noise.seed, step=epoch, prefix=f"{noise.prefix}order/").permutation("epoch", len(pictures))
        for start in range(0, len(pictures) - batch + 1, batch):
            places = order[start : start + batch].to(pictures.index.device)
            x = pixels(pictures.pictures(places).to(first.device), first.dtype)
            step = Rng(seed=noise.seed, step=seen, prefix=f"{noise.prefix}step/", device=first.device)
            optimizer.zero_grad()
            torch.autograd.backward(loss(x, places, step))
            optimizer.step()
            seen += batch
    optimizer.zero_grad()
    return seen
