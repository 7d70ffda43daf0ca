"""A table of text as every format prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, what the table shows (`caption`), its cells, and what must be said of it, sentence by sentence."""

    title: str
    caption: str
    frame: pd.DataFrame
    sentences: Sequence[str] = ()
