"""What a data set is: settings in, three splits of images and labels out."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from regtune.errors import Refused
from regtune.noise import Noise
from regtune.space import knob


@dataclass(frozen=True, kw_only=True)
class Examples:
    """`images` [N, C, H, W], uint8 or floats in [0, 1]; `labels` [N], int64 class numbers."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Examples:
        """Return the examples at the given places (int64, [M])."""
        return Examples(images=self.images[index], labels=self.labels[index])

    def to(self, device: torch.device) -> Examples:
        """Return the examples on a device."""
        return Examples(images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The parts of a data set. `test` is None wherever the test split must not be seen."""

    train: Examples
    validation: Examples
    test: Examples | None
    classes: int

    def without_test(self) -> Splits:
        """Return what search may see."""
        return replace(self, test=None)

    def to(self, device: torch.device) -> Splits:
        """Return the splits on a device."""
        test = self.test.to(device) if self.test is not None else None
        return replace(self, train=self.train.to(device), validation=self.validation.to(device), test=test)


@dataclass(frozen=True, kw_only=True)
class Dataset(abc.ABC):
    """The base of every data set: a frozen value whose knobs are its settings."""

    train: int = knob(default=1000, legal="[2, 100000000]", meaning="training examples")
    validation: int = knob(default=500, legal="[2, 100000000]", meaning="validation examples")
    split_seed: int = knob(
        default=0, legal="[0, 2147483647]", meaning="seed of the split into train, validation and test"
    )

    @abc.abstractmethod
    def load(self) -> Splits:
        """Return all splits, the test split included; raises Refused where that is impossible."""


def carve(everything: Examples, *, classes: int, sizes: tuple[int, ...], seed: int, where: str) -> list[Examples]:
    """Cut examples into consecutive parts of the given sizes, each with the classes in proportion.

    The order is a function of `seed` alone. Raises Refused where there are too few examples.
    """
    if sum(sizes) > len(everything):
        raise Refused(
            f"{where}: expected at most {len(everything)} examples in all, given {' + '.join(map(str, sizes))}; "
            f"lower train or validation"
        )
    shuffled = Noise(seed=seed).permutation("split", len(everything))
    labels = everything.labels[shuffled]
    position = torch.zeros(len(everything), dtype=torch.float64)
    for label in range(classes):
        members = (labels == label).nonzero()[:, 0]
        # Places of one class at equal distances in [0, 1): any stretch then holds its share of them.
        position[members] = (torch.arange(len(members)).double() + 0.5) / max(len(members), 1)
    order = shuffled[torch.argsort(position, stable=True)]
    return [everything.take(part) for part in torch.split(order[: sum(sizes)], list(sizes))]


def pixels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images as floats in [0, 1]: uint8 is divided by 255, floats are taken as they are."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)


def joined(first: Examples, second: Examples) -> Examples:
    """Return the examples of both, the first ones first."""
    return Examples(images=torch.cat([first.images, second.images]), labels=torch.cat([first.labels, second.labels]))


def checked(splits: Splits, where: str) -> Splits:
    """Return the splits of a data set if they are what a trial can be trained on; raises Refused."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    for name, part in parts.items():
        if part is None:
            raise Refused(f"{where}: expected a {name} split, given none")
        images, labels = part.images, part.labels
        if images.ndim != 4 or labels.shape != images.shape[:1] or labels.dtype != torch.int64:
            raise Refused(
                f"{where}: expected {name} images [N, C, H, W] and int64 labels [N], "
                f"given {list(images.shape)} and {labels.dtype} {list(labels.shape)}"
            )
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < splits.classes:
            raise Refused(
                f"{where}: expected {name} labels from 0 to {splits.classes - 1}, "
                f"given {int(labels.min())} to {int(labels.max())}"
            )
    return splits
