"""The commands for what regtune has: list its registries, write out the sweeps that ship with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regtune.cli.options import Plugin
from regtune.core.errors import Refused
from regtune.core.writing import write

app = typer.Typer()


@app.command("list")
def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="a kind (regularizers, data, networks, optimizers, samplers, pruners), or a name to print its card",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, or md: the methods as in docs/methods.md")] = "table",
    plugin: Plugin = None,
    timm: Annotated[
        str | None, typer.Option("--timm", help="names of models of timm, as 'resnet*'", metavar="PATTERN")
    ] = None,
    torchvision: Annotated[
        str | None, typer.Option("--torchvision", help="names of models of torchvision", metavar="PATTERN")
    ] = None,
) -> None:
    """List regularizers, data sets, networks, optimizers, samplers and pruners, or print cards by name."""
    from regtune.cli import catalog
    from regtune.cli.listing import show
    from regtune.core.errors import nearest

    if form not in ("table", "md"):
        raise Refused(f"--format: unknown format {form!r}{nearest(form, ('table', 'md'))}")
    patterns = [(library, given) for library, given in (("timm", timm), ("torchvision", torchvision)) if given]
    if patterns:
        if names or form != "table":
            raise Refused(f"--{patterns[0][0]}: expected it alone, given a name or --format beside it")
        for pattern in patterns:
            print("\n".join(catalog.models(*pattern)))
    elif form == "md":
        if names:
            raise Refused(f"--format: expected table with names, given md and {names[0]!r}; md is all the methods")
        print(catalog.markdown(), end="")
    else:
        show(tuple(names or ()), tuple(plugin or ()))


@app.command()
def schema(plugin: Plugin = None) -> None:
    """Print the JSON Schema of sweep files, for editors: every setting, method and knob with what it means."""
    import json

    from regtune.sweep.json_schema import json_schema

    print(json.dumps(json_schema(tuple(plugin or ())), indent=1))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="where to write the sweep files", show_default=False)],
    template: Annotated[
        str | None,
        typer.Option(help="begin a sweep of your own instead: mnist, cifar, own-data or own-network"),
    ] = None,
) -> None:
    """Write the sweep files that ship with regtune, or a template, into a folder; existing files are left alone."""
    from regtune.cli.sweeps import beside_sweeps, sweep_files, templates
    from regtune.core.errors import nearest

    known = templates()
    if template is not None and template not in known:
        raise Refused(f"--template: unknown template {template!r}{nearest(template, known)}")
    files = [*sweep_files(), *beside_sweeps()] if template is None else known[template]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / file.name
        if target.exists():
            print(f"kept {target}")
        else:
            write(target, file.read_bytes())
            print(f"wrote {target}")
