"""Labels and pictures made meaningless on purpose, after Zhang et al. (2017): can a network still fit them?

Drawn once per split seed, so the same in every epoch and every arm. Whatever becomes of the pictures
happens to all splits in the same way; noise in the labels is for the training split only, and accuracy
and loss on that are then those of the noisy labels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from regtune.core.rng import Rng
from regtune.data._examples import Examples, channel_statistics
from regtune.data._splits import Splits

_ROWS = 2048  # pictures at a time; part of what decides the draws


def corrupted(splits: Splits, *, label_noise: float, pixels: str, seed: int) -> Splits:
    """Return the splits with noise in the training labels, and pictures "shuffled", "random" or "gaussian".

    "shuffled" moves the pixels of all pictures and channels by one permutation, "random" those of each
    picture by its own; "gaussian" draws every pixel from a normal distribution with mean and variance of
    the channel in the training split, then clips to [0, 1]. New pictures are copies, test's apart.

    Source: C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals, "Understanding Deep Learning Requires
    Rethinking Generalization" (ICLR 2017).
    """
    if label_noise > 0:
        labels = noisy_labels(splits.train.labels, probability=label_noise, classes=splits.classes, seed=seed)
        splits = replace(splits, train=replace(splits.train, labels=labels))
    if pixels == "true":
        return splits
    moments = channel_statistics(splits.train)

    def made(part: Examples, name: str) -> Examples:
        return Examples.of(images=_made(part, pixels, seed, name, moments), labels=part.labels)

    return replace(
        splits,
        train=made(splits.train, "train"),
        validation=made(splits.validation, "validation"),
        test=made(splits.test, "test") if splits.test is not None else None,
    )


def noisy_labels(labels: Tensor, *, probability: float, classes: int, seed: int) -> Tensor:
    """Return labels [N] of which each is, with a probability, redrawn from all classes, the old one included.

    What is changed at a probability is changed in the same way at every higher one.
    """
    rng = Rng(seed=seed).at("label_noise")
    drawn = rng.below(classes, "class", labels.shape)
    return torch.where(rng.uniform("whether", labels.shape) < probability, drawn, labels)


def _made(part: Examples, kind: str, seed: int, name: str, moments: tuple[Tensor, Tensor]) -> Tensor:
    result = torch.empty((len(part), *part.source.shape[1:]), dtype=part.source.dtype)
    common = Rng(seed=seed).at("pixels").permutation("positions", part.source[0, 0].numel())
    for number, images in enumerate(part.batches(_ROWS)):
        rows = result[number * _ROWS : number * _ROWS + len(images)]
        rng = Rng(seed=seed, step=number, prefix=f"pixels/{name}/")
        if kind == "gaussian":
            rows.copy_(_gaussian(images, moments, rng))
            continue
        flat = images.flatten(2)
        order = common if kind == "shuffled" else torch.argsort(rng.bits("order", flat[:, 0].shape), stable=True)
        rows.copy_(flat.gather(2, order.expand(len(flat), -1)[:, None].expand_as(flat)).view_as(images))
    return result


def _gaussian(images: Tensor, moments: tuple[Tensor, Tensor], rng: Rng) -> Tensor:
    mean, std = (value[:, None, None] for value in moments)
    values = (mean + std * rng.normal("value", images.shape)).clamp(0, 1)
    return (values * 255).round() if images.dtype == torch.uint8 else values
