"""Clean metrics: hard labels, eval mode, no augmentation, the same for every arm."""

from __future__ import annotations

import torch

from regtune.data import Examples, pixels
from regtune.program import Knobs, Program
from regtune.state import Tensors

_ROWS = 256  # examples per forward pass, so that activations are as large as in training; part of what decides the bits


def measure(
    program: Program, params: Tensors, buffers: Tensors, knobs: Knobs, examples: Examples
) -> list[tuple[float, float]]:
    """Return (accuracy as a fraction, negative log-likelihood in nats per example) of each member."""
    dtype = next(iter(params.values())).dtype
    correct, loss = torch.zeros(()), torch.zeros(())
    program.net.eval()
    for images, labels in examples.batches(_ROWS).labelled():
        logits = program.logits(params, buffers, knobs, pixels(images, dtype)).double().cpu()
        right = labels.cpu()
        chosen = logits.log_softmax(-1).gather(-1, right.expand(logits.shape[:-1])[..., None])[..., 0]
        # A class counts as the answer only where it is strictly the largest: NaN is never right.
        correct = correct + (logits.argmax(-1) == right).logical_and(chosen.isfinite()).double().sum(-1)
        loss = loss - chosen.sum(-1)
    program.net.train()
    pairs = torch.stack([correct, loss], -1).reshape(-1, 2) / len(examples)
    return [(row[0].item(), row[1].item()) for row in pairs]
