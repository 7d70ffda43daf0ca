"""What a study is: a claim of the theory, the same measured with the product, and how far they are apart."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from regtune.reports.figures._drawing import Drawing
from regtune.reports.tables._table import Table


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Numbers that the theory gives beside those that were measured; `tolerance` is what they may be apart.

    With `relative` differences are taken by the size of what the theory gives. A comparison that `fails` by intent,
    to show where a claim ends, has differences of more than its tolerance.
    """

    what: str
    theory: ArrayLike
    measured: ArrayLike
    tolerance: float
    relative: bool = False
    fails: bool = False

    @property
    def error(self) -> float:
        """The largest difference."""
        theory, measured = np.asarray(self.theory, float), np.asarray(self.measured, float)
        difference = np.abs(theory - measured)
        return float((difference / np.abs(theory) if self.relative else difference).max())

    @property
    def holds(self) -> bool:
        """Whether the comparison came out as it should; one that is no number never does."""
        return math.isfinite(self.error) and (self.error > self.tolerance) == self.fails


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A chart with its title and what it shows."""

    title: str
    caption: str
    chart: Drawing


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a study found: comparisons, sentences on what came out, tables and charts."""

    comparisons: Sequence[Comparison]
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Drawn] = ()


@dataclass(frozen=True, kw_only=True)
class Study(abc.ABC):
    """The base of every study. Its docstring says what is claimed, in the notation of the lecture, and the source.

    `title` is the heading of its section, `place` its place in the lecture: a page has studies by their places.
    """

    title: ClassVar[str]
    place: ClassVar[int]

    @abc.abstractmethod
    def run(self) -> Findings:
        """Do the experiment, in seconds on one core."""
