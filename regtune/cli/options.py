"""What several commands ask for: arguments and options with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _names(given: list[str] | None) -> list[str]:
    """Return the names of the plugins that were given by name or path; raises Refused."""
    from regtune.core.plugins import name_of_plugin

    return [name_of_plugin(each) for each in given or ()]


SweepFile = Annotated[Path, typer.Argument(help="a sweep file (TOML)", show_default=False)]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="a module with your own regularizers, networks or data: its name, or its file as ./mine.py",
        callback=_names,
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", envvar="REGTUNE_DATA", help="folder below which data sets lie", show_default=False),
]
Download = Annotated[bool, typer.Option("--download", help="fetch a published data set that is missing")]
ResultsFolder = Annotated[Path, typer.Option("--results", help="folder under which results are kept")]
Full = Annotated[bool, typer.Option("--full", help="print all tables with their captions, not the answer in brief")]
InProcess = Annotated[bool, typer.Option("--in-process", help="train here, one trial after the other, without Ray")]
Reuse = Annotated[
    list[str] | None,
    typer.Option(
        "--reuse", help="a results folder whose trials are taken over where they are the same; more than once"
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="try failed trials again, and train arms again whose plugin was mended")
]
