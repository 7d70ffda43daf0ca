"""The catalogue on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regtune.cli import catalog


def show(names: Sequence[str], plugins: Sequence[str]) -> None:
    """Print the table of each kind and the card of each thing that is named, in their order; of no names all kinds.

    Raises Refused for an unknown name, before anything is printed.
    """
    console = Console()
    if not names:
        first, *rest = catalog.KINDS
        console.print(_table([first], plugins))
        console.print(_table(rest, plugins))
        return
    cards = iter(catalog.cards([name for name in names if name not in catalog.KINDS], plugins))
    for place, name in enumerate(names):
        if place:
            print()
        if name in catalog.KINDS:
            console.print(_table([name], plugins))
        else:
            print(next(cards))


def _table(kinds: Sequence[str], plugins: Sequence[str]) -> Table:
    """Return the table of the regularizers, or of some other kinds."""
    methods = tuple(kinds) == ("regularizers",)
    headings = catalog.HEADINGS if methods else ("kind", "name", "settings", "what it is")
    table = Table(show_lines=True)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0 or heading == "name")
    for row in catalog.regularizers(plugins) if methods else catalog.others(kinds, plugins):
        table.add_row(*map(escape, row))
    return table
