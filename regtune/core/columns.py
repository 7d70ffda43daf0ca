"""Columns of a table: what the features of an example are, so that whoever sees `[N, F, 1, 1]` knows it is a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

MISSING = "(missing)"  # the category of a row that has none, where any row has none


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; with `values` one of categories, else one of numbers, `gaps` where any is missing.

    A category is a block of features, one for each value, 1 for the row's own and 0 for the others; all are 0 where no
    training row has it. A number is a feature, and where some are missing a second one says with 1 which they are.
    """

    name: str
    values: tuple[str, ...] = ()
    gaps: bool = False

    @property
    def size(self) -> int:
        """How many features it is."""
        return len(self.values) or 1 + self.gaps


def blocks(columns: Sequence[Column]) -> list[slice]:
    """Return where the features of each column lie among those of all."""
    ends = list(accumulate(column.size for column in columns))
    return [slice(end - column.size, end) for column, end in zip(columns, ends, strict=True)]
