"""The command line: `regtune run sweeps/quickstart.toml`."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Annotated, TextIO

import typer

from regtune.cli import jobs, registries, results, studies, sweeps
from regtune.core.errors import Refused
from regtune.core.writing import in_one_line
from regtune.service import command

# Boxes and colours are for people: what is read in a file or in the log of a CI job is plain text.
TERMINAL = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))

app = typer.Typer(
    help="Which regularizer, at which strength, is worth it for my network on my data?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if TERMINAL else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (registries, sweeps, results, studies, jobs, command):
    app.add_typer(part.app)


def _print_versions(asked: bool) -> None:
    """Print the versions that a report of a fault should have, and end."""
    if asked:
        from regtune.storage.environment import release

        print(release())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_versions,
            is_eager=True,
            help="print the versions of regtune, Python, torch, Ray and Optuna",
        ),
    ] = False,
) -> None: ...


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning in one line, without its place in regtune's source."""
    print(f"regtune: {message}", file=file or sys.stderr)


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    sys.path.append(str(Path.cwd()))  # plugins are looked for where the user stands
    warnings.showwarning = _show
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of few characters gets "?" for others, as stderr escapes
        sys.stdout.reconfigure(errors="replace")
    try:
        app(prog_name="regtune")
    except Refused as error:
        print(f"regtune: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"regtune: {in_one_line(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
