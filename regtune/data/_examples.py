"""Examples: places in pictures that several splits share, so that a split copies none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N labelled pictures, the rows `index` [N] (int64) of `source` [M, C, H, W], uint8 or floats in [0, 1].

    `labels` [N] are int64 class numbers; they lie on the device on which batches are wanted. `source` and
    `index` lie there too, or in main memory where the pictures do not fit: see `_splits.fits`.

    Examples of several members of a lane, `beside` each other, have `index` and `labels` [members, N]. They can
    be counted, looked at from the first on and in batches, and taken apart again with `member`.
    """

    source: Tensor
    index: Tensor
    labels: Tensor

    @classmethod
    def of(cls, *, images: Tensor, labels: Tensor) -> Examples:
        """Return all of these images [N, C, H, W] with their labels [N], in order."""
        return cls(source=images, index=torch.arange(len(images), device=images.device), labels=labels)

    def __len__(self) -> int:
        return self.labels.shape[-1]

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
        return Examples(source=self.source, index=self.index[..., :count], labels=self.labels[..., :count])

    def member(self, place: int) -> Examples:
        """Return the examples of one of several members, N of them over the pictures of all."""
        return Examples(source=self.source, index=self.index[place], labels=self.labels[place])

    def pictures(self, places: Tensor) -> Tensor:
        """Return the pictures at the given places (int64, of any shape S) as [*S, C, H, W], where labels lie.

        Of several members S is [members, M]: places of each of them.
        """
        return self._fetched(_at(self.index, places.to(self.index.device)))

    def answers(self, places: Tensor) -> Tensor:
        """Return the labels at the given places (int64, of a shape as in `pictures`), of that shape."""
        return _at(self.labels, places)

    def between(self, start: int, stop: int) -> Tensor:
        """Return the pictures from one place to before another, [M, C, H, W] or [members, M, C, H, W]."""
        return self._fetched(self.index[..., start:stop])

    def _fetched(self, index: Tensor) -> Tensor:
        rows = self.source[index]
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
        if resident and self.index.ndim > 1:  # of pictures that members share, each needs its own places
            return Examples(source=self.source.to(device), index=self.index.to(device), labels=labels)
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
        return self._examples.between(start, min(start + self._size, len(self._examples)))

    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (pictures, labels) of each batch."""
        yield from zip(self, torch.split(self._examples.labels, self._size, dim=-1), strict=True)


def joined(first: Examples, second: Examples) -> Examples:
    """Return the examples of both, the first ones first; pictures are copied where the two share none."""
    labels = torch.cat([first.labels, second.labels])
    if first.source is second.source:
        return Examples(source=first.source, index=torch.cat([first.index, second.index]), labels=labels)
    return Examples.of(images=torch.cat([first.images, second.images]), labels=labels)


def beside(parts: Sequence[Examples]) -> Examples:
    """Return examples of several members, as many of each; pictures are copied where the members do not share them."""
    sources = list({id(part.source): part.source for part in parts}.values())
    starts = dict(zip(map(id, sources), itertools.accumulate(map(len, sources), initial=0), strict=False))
    return Examples(
        source=sources[0] if len(sources) == 1 else torch.cat(sources),
        index=torch.stack([part.index + starts[id(part.source)] for part in parts]),
        labels=torch.stack([part.labels for part in parts]),
    )


def _at(values: Tensor, places: Tensor) -> Tensor:
    """Return the values [N] at places of any shape, or of members [members, N] at places [members, M] of theirs."""
    return values[places] if values.ndim == 1 else values.gather(-1, places)


def pixels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images as floats in [0, 1]: uint8 is divided by 255, floats are taken as they are."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)


AT_ONCE = 10_000  # more examples are summed in parts: as floats they would take gigabytes
_ROWS = 1024


def channel_statistics(examples: Examples) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [C] (float32, main memory) of the pictures in [0, 1]."""
    if len(examples) <= AT_ONCE:
        images = pixels(examples.images, torch.float32).cpu()
        return images.mean((0, 2, 3)), images.std((0, 2, 3))
    total = square = torch.zeros((), dtype=torch.float64)
    for images in examples.batches(_ROWS):
        values = pixels(images, torch.float64)
        total, square = total + values.sum((0, 2, 3)).cpu(), square + values.square().sum((0, 2, 3)).cpu()
    count = len(examples) * examples.source[0, 0].numel()
    variance = (square - total * total / count) / (count - 1)
    return (total / count).float(), variance.clamp_min(0).sqrt().float()
