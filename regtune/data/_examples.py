"""Examples: places in pictures that several splits share, so that a split copies none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N labelled pictures, the rows `index` [N] (int64) of `source` [M, C, H, W], uint8 or floats in [0, 1].

    `labels` [N] are int64 class numbers; they lie on the device on which batches are wanted. `source` and
    `index` lie there too, or in main memory where the pictures do not fit: see `_room`.
    """

    source: Tensor
    index: Tensor
    labels: Tensor

    @classmethod
    def of(cls, *, images: Tensor, labels: Tensor) -> Examples:
        """Return all of these images [N, C, H, W] with their labels [N], in order."""
        return cls(source=images, index=torch.arange(len(images), device=images.device), labels=labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """A copy of the pictures [N, C, H, W]. Large sets are better read in `batches`."""
        return self.source[self.index]

    @property
    def nbytes(self) -> int:
        """The bytes that the pictures take without those of others."""
        return len(self) * self.source[:1].nbytes

    def take(self, places: Tensor) -> Examples:
        """Return the examples at the given places (int64, [M]); no picture is copied."""
        return Examples(source=self.source, index=self.index[places], labels=self.labels[places])

    def first(self, count: int) -> Examples:
        """Return the first `count` examples, or all if there are fewer."""
        return Examples(source=self.source, index=self.index[:count], labels=self.labels[:count])

    def pictures(self, places: Tensor) -> Tensor:
        """Return the pictures at the given places (int64, of any shape S) as [*S, C, H, W], where labels lie."""
        rows = self.source[self.index[places.to(self.index.device)]]
        if rows.device == self.labels.device:
            return rows
        return rows.pin_memory().to(self.labels.device, non_blocking=True)

    def batches(self, size: int) -> Batches:
        """Return the examples in order, `size` at a time."""
        return Batches(self, size)

    def compact(self) -> Examples:
        """Return the same examples over pictures of their own."""
        return Examples.of(images=self.images, labels=self.labels)

    def to(self, device: torch.device, *, resident: bool) -> Examples:
        """Return the examples for a device: their pictures there if `resident`, else their labels only."""
        if device == self.labels.device:
            return self
        labels = self.labels.to(device)
        if resident:
            return Examples.of(images=self.images.to(device), labels=labels)
        return Examples(source=self.source, index=self.index, labels=labels)


class Batches(Sequence[Tensor]):
    """The pictures of examples in consecutive batches, taken when they are asked for."""

    def __init__(self, examples: Examples, size: int, count: int | None = None) -> None:
        self._examples, self._size = examples, size
        self._count = -(-len(examples) // size) if count is None else count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Tensor: ...
    @overload
    def __getitem__(self, place: slice) -> Batches: ...
    def __getitem__(self, place: int | slice) -> Tensor | Batches:
        if isinstance(place, slice):
            if place.start or place.step:
                raise ValueError("batches are cut at their end only")
            return Batches(self._examples, self._size, len(range(self._count)[place]))
        start = range(self._count)[place] * self._size
        index = self._examples.index
        stop = min(start + self._size, len(index))
        return self._examples.pictures(torch.arange(start, stop, device=index.device))

    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (pictures, labels) of each batch."""
        yield from zip(self, torch.split(self._examples.labels, self._size), strict=True)


def joined(first: Examples, second: Examples) -> Examples:
    """Return the examples of both, the first ones first; pictures are copied where the two share none."""
    labels = torch.cat([first.labels, second.labels])
    if first.source is second.source:
        return Examples(source=first.source, index=torch.cat([first.index, second.index]), labels=labels)
    return Examples.of(images=torch.cat([first.images, second.images]), labels=labels)


def pixels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images as floats in [0, 1]: uint8 is divided by 255, floats are taken as they are."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)
