"""What networks of tables share: features of columns, those of a category through an embedding."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from regtune.core.columns import Column, blocks
from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.networks._base import Network
from regtune.networks._initializers import Drawn

AUTO = 0  # what the word "auto" stands for


@dataclass(frozen=True, kw_only=True)
class TableNetwork(Network):
    """The base of networks of tables: they are built for columns; of pictures each value is a column of numbers."""

    tables: ClassVar[bool] = True

    embedding: int = knob(
        default=AUTO,
        off=AUTO,
        word="auto",
        legal="[1, 10000]",
        meaning="numbers of the embedding of a category; auto: 1.6 k^0.56 of its k values, 600 at most",
    )

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module for pictures of a shape."""
        return self.made([Column(name=str(number)) for number in range(math.prod(shape))], shape[0], classes)

    def build_table(self, *, columns: Sequence[Column], classes: int) -> nn.Module:
        """Return the module for rows x [N, F, 1, 1] of such columns."""
        return self.made(columns, sum(column.size for column in columns), classes)

    @abc.abstractmethod
    def made(self, columns: Sequence[Column], channels: int, classes: int) -> nn.Module:
        """Return the module for x with so many channels, whose values are the features of these columns."""


class Embed(nn.Module):
    """Features [N, F, ...] of columns -> [N, `size`]: numbers as they are, then the embedding of each category.

    The block of a category has a 1 at its value, so its product with the rows of an embedding is the row of that value;
    of a mixture of two rows (mixup) it is the mixture of theirs, and 0 where no value is known. The rule of the size
    is that of fastai, after C. Guo, F. Berkhahn, "Entity Embeddings of Categorical Variables" (2016).
    """

    numbers: Tensor

    def __init__(self, columns: Sequence[Column], embedding: int) -> None:
        super().__init__()
        places = [place for column, block in zip(columns, blocks(columns), strict=True) if not column.values
                  for place in range(block.start, block.stop)]  # fmt: skip
        self.blocks = [block for column, block in zip(columns, blocks(columns), strict=True) if column.values]
        self.register_buffer("numbers", torch.tensor(places, dtype=torch.int64), persistent=False)
        counts = [block.stop - block.start for block in self.blocks]
        sizes = [embedding or min(600, round(1.6 * count**0.56)) for count in counts]
        self.rows = nn.ModuleList(_Rows(count, size) for count, size in zip(counts, sizes, strict=True))
        self.size = len(places) + sum(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Return what a fully connected layer may take."""
        flat = x.flatten(1)
        parts = [rows(flat[:, block]) for block, rows in zip(self.blocks, self.rows, strict=True)]
        return torch.cat([flat[:, self.numbers], *parts], 1)


class _Rows(nn.Embedding, Drawn):
    """A row for each value, of shares of values [N, k]; by its type it is spared by penalties on weights."""

    def forward(self, shares: Tensor) -> Tensor:
        return linear(shares, self.weight.T)

    def draw(self, rng: Rng) -> None:
        """Draw the rows, normal with a standard deviation of 1, as PyTorch does."""
        self.weight.copy_(rng.normal("weight", self.weight.shape))
