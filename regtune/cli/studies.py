"""The command for studies: theory beside measurement."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from regtune.core.errors import Refused, nearest, shown

app = typer.Typer()


@app.command()
def study(
    names: Annotated[list[str] | None, typer.Argument(help="studies; none lists them", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="all studies, in the order of the lecture")] = False,
    to: Annotated[
        Path | None, typer.Option("--report", help="write one HTML page to this file, and the charts beside it")
    ] = None,
) -> None:
    """Set the theory beside what the product does, in seconds on a CPU; exit code 1 where they differ."""
    from regtune.studies import STUDIES
    from regtune.studies._page import text_of, write_companion
    from regtune.training.process import prepare_process

    known = {name.replace("_", "-"): made() for name, made in STUDIES.all().items()}
    asked = sorted(known, key=lambda name: known[name].place) if every else [*(names or ())]
    if unknown := [name for name in names or () if name not in known]:
        raise Refused(f"study: unknown study {shown(unknown[0])}{nearest(unknown[0], known)}")
    if not asked and to is not None:
        raise Refused("--report: expected the names of studies, or --all")
    if not asked:
        for name, one in sorted(known.items(), key=lambda each: each[1].place):
            print(f"{name}: {one.title}")
        return
    prepare_process(threads=1)  # the tensors are small: threads would wait for each other
    found = {}
    for name in asked:
        found[name] = known[name], (findings := known[name].run())
        sys.stdout.write(text_of(name, known[name], findings))
    if to is not None:
        page, *charts = write_companion(found, to)
        print(f"wrote {page} and {len(charts)} files of charts")
    wrong = [name for name, (_, findings) in found.items() if not all(one.holds for one in findings.comparisons)]
    if wrong:
        print(f"regtune: theory and measurement differ in {', '.join(wrong)}", file=sys.stderr)
        raise typer.Exit(1)
