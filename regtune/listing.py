"""The catalogue on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regtune import catalogue


def show_all(plugins: tuple[str, ...]) -> None:
    """Print regularizers, data sets, networks and optimizers as tables."""
    console = Console()
    for headings, rows in (
        (catalogue.HEADINGS, catalogue.regularizers(plugins)),
        (("kind", "name", "settings", "what it is"), catalogue.others(plugins)),
    ):
        table = Table(show_lines=True)
        for place, heading in enumerate(headings):
            table.add_column(heading, no_wrap=place == 0 or heading == "name")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
