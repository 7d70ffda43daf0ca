"""Text that fits a terminal's width: a table that drops columns, and words that wrap into further lines."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from rich.cells import cell_len

GAP = "  "


def narrow(frame: pd.DataFrame, width: int, *, kept: int) -> str:
    """Return a table of text in as many of its first columns as fit `width` cells of a terminal, at least `kept`.

    Columns stand in the order of their importance: the last ones are dropped first, and no cell is cut or wrapped. So
    a line is longer than `width` only where the `kept` columns alone need it. Wide characters take two cells.
    """
    columns = [[str(name), *map(str, frame[name])] for name in frame]
    widths = [max(map(cell_len, column)) for column in columns]
    shown = len(columns)
    while shown > kept and sum(widths[:shown]) + len(GAP) * (shown - 1) > width:
        shown -= 1
    rule = ["-" * each for each in widths[:shown]]
    head, *rows = zip(*columns[:shown], strict=True)
    return "\n".join(_line(row, widths) for row in [head, rule, *rows])


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False)]
    return GAP.join(padded).rstrip()


def flowed(pieces: Iterable[str], width: int, *, indent: str = GAP) -> str:
    """Return pieces with a space between them, in lines of at most `width` cells; those behind the first are indented.

    No piece is broken: a line is longer than `width` only where a single piece and its indentation are.
    """
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(lines[-1]) + 1 + cell_len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"{indent if lines else ''}{piece}")
    return "\n".join(lines)
