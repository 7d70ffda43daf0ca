"""Normalization statistics taken anew: what averaged weights need before they can be evaluated."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from regtune.core.state import Tensors
from regtune.data import pixels
from regtune.networks import Bend
from regtune.training.objective import Objective


def recomputed_statistics(
    objective: Objective, bend: Bend, buffers: Tensors, batches: Iterable[Tensor], params: Tensors
) -> Tensors:
    """Return the buffers of a network whose running statistics are means over the given batches.

    `batches` are images [N, C, H, W]; normalization layers work as in training, and `bend` is that of
    evaluation, so that the statistics are those of the network that is evaluated.
    `torch.optim.swa_utils.update_bn` bends as in training; without dropout the two are equal. A network
    without BatchNorm keeps its buffers.
    """
    layers = [part for part in objective.net.modules() if isinstance(part, BatchNorm)]
    if not layers:
        return buffers
    dtype = next(iter(params.values())).dtype
    fresh = {name: b.clone() for name, b in buffers.items()}
    before = [layer.momentum for layer in layers]
    try:
        with torch.no_grad():
            for number, images in enumerate(batches, start=1):
                for layer in layers:  # the first batch replaces what was there, the n-th counts 1 / n
                    layer.momentum = 1 / number
                objective.forward(params, fresh, pixels(images, dtype), bend)
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
    return fresh
