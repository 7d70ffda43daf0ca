"""What several commands ask for: arguments and options with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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
    typer.Option("--data", envvar="REGTUNE_DATA", help="folder that contains the data sets", show_default=False),
]
Download = Annotated[bool, typer.Option("--download", help="download published data or weights that are missing")]
ResultsFolder = Annotated[Path, typer.Option("--results", help="folder for results")]
Full = Annotated[bool, typer.Option("--full", help="print all tables with their captions instead of the short answer")]


MOST_WIDE = 1024


def lane_width_of(given: str | None) -> int | Literal["auto"] | None:
    """Return what `--lane-width` says; raises Refused."""
    from regtune.core.errors import Refused, shown

    if given is None:
        return None
    if given == "auto":
        return "auto"
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= MOST_WIDE:
        raise Refused(f"--lane-width: expected auto or a number from 1 to {MOST_WIDE}, given {shown(given)}")
    return int(given)


LaneWidth = Annotated[
    str | None,
    typer.Option(
        "--lane-width",
        help="trials that train side by side as one program: auto (measured) or a number; 1 trains one by one",
        metavar="N",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="a setting in place of that of the file, by its path there, as training.epochs=10; may be repeated",
        metavar="PATH=VALUE",
        show_default=False,
    ),
]
LogTo = Annotated[
    list[str] | None,
    typer.Option(
        "--log-to",
        help="write trials to tensorboard, mlflow or wandb too, as they train; may be repeated",
        metavar="TRACKER",
        show_default=False,
    ),
]
InProcess = Annotated[bool, typer.Option("--in-process", help="train in this process, without Ray")]
Reuse = Annotated[
    list[str] | None,
    typer.Option("--reuse", help="a results folder whose trials are reused where they are the same; may be repeated"),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="retry failed trials, and retrain arms whose plugin was fixed")
]
