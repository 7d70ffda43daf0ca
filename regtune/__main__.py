"""The command line: `regtune run sweeps/quickstart.toml`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, TextIO

import typer

from regtune.commands import jobs, results, sweeps
from regtune.commands.options import Plugin
from regtune.errors import Refused
from regtune.writing import in_one_line, write

app = typer.Typer(
    help="Which regularizer, at which strength, is worth it for my network on my data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (sweeps, results, jobs):
    app.add_typer(part.app)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="one of them: its card", show_default=False)] = None,
    form: Annotated[str, typer.Option("--format", help="table, or md: the methods as the README has them")] = "table",
    plugin: Plugin = None,
) -> None:
    """Print the catalogue: regularizers, data sets, networks, optimizers."""
    from regtune import catalogue
    from regtune.errors import nearest
    from regtune.listing import show_all

    if form not in ("table", "md"):
        raise Refused(f"--format: unknown format {form!r}{nearest(form, ('table', 'md'))}")
    if name is not None:
        print(catalogue.card(name, tuple(plugin or ())))
    elif form == "md":
        print(catalogue.markdown(), end="")
    else:
        show_all(tuple(plugin or ()))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="where to write the sweep files", show_default=False)],
) -> None:
    """Write the sweep files that ship with regtune into a folder; existing files are left alone."""
    from regtune.shipped import sweep_files

    folder.mkdir(parents=True, exist_ok=True)
    for file in sweep_files():
        target = folder / file.name
        if target.exists():
            print(f"kept {target}")
        else:
            write(target, file.read_bytes())
            print(f"wrote {target}")


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
    try:
        app()
    except Refused as error:
        print(f"regtune: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"regtune: {in_one_line(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
