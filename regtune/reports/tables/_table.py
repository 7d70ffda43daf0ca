"""A table of text as every format prints it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regtune.core.html import html_folded, html_table

END = re.compile(r"(?<!\b[A-Z])(?<!\bal)\. ")  # of a sentence, and not of an initial or of "et al."


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, what the table shows (`caption`), its cells, and what must be said of it, sentence by sentence."""

    title: str
    caption: str
    frame: pd.DataFrame
    sentences: Sequence[str] = ()

    @property
    def conclusion(self) -> str:
        """The first sentence of the caption."""
        first, *rest = END.split(self.caption, maxsplit=1)
        return f"{first}." if rest else first

    @property
    def details(self) -> str:
        """What the caption says behind its first sentence."""
        return "".join(END.split(self.caption, maxsplit=1)[1:])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = self.frame.astype(str).itertuples(index=False)
        table = html_table([str(name) for name in self.frame.columns], rows, self.conclusion)
        said = [text for text in (self.details, *self.sentences) if text]
        return table + html_folded("What this table says, and what it cannot say", said)
