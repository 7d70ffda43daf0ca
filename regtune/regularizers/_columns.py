"""Columns as methods see them: which feature begins the column of each, of pictures every value is one."""

from __future__ import annotations

import torch
from torch import Tensor

from regtune.core.columns import blocks
from regtune.core.state import Tensors, TrainState
from regtune.data import Splits

FIRST = "first"


def remembered(state: TrainState, data: Splits) -> Tensors:
    """Return as memory of a method, under FIRST [F], the place of the feature with which the column of each begins."""
    count = data.train.source[0].numel()
    first = torch.arange(count)
    for block in blocks(data.columns):
        first[block] = block.start
    return {FIRST: first.to(next(iter(state.params.values())).device)}


def ranks(noise: Tensor, first: Tensor) -> Tensor:
    """Return for each feature [F] the rank from 0 of its column, by the noise [F] in [0, 1) of its first."""
    begins = first == torch.arange(len(first), device=first.device)
    order = torch.where(begins, noise, 2.0).argsort(stable=True)
    return order.argsort(stable=True)[first]
