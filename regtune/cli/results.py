"""The commands for a results folder: table, report, export; and trial, which takes either."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from regtune.cli.optional_value import PUBLISHED, WithPublished
from regtune.cli.options import DataFolder, Download, Full, Plugin
from regtune.core.errors import Refused

app = typer.Typer()


@app.command(cls=WithPublished)
def table(
    results: Annotated[list[Path], typer.Argument(help="results folders", show_default=False)],
    form: Annotated[
        str | None, typer.Option("--format", help="md, csv, latex, html or json: all tables with their captions")
    ] = None,
    full: Full = False,
    published: Annotated[
        str | None,
        typer.Option(
            PUBLISHED,
            help="figures of published tables beside ours: of the one named, else of those whose arms match",
            metavar="[NAME]",
            show_default=False,
        ),
    ] = None,
    equal_cost: Annotated[
        str | None,
        typer.Option(
            "--equal-cost",
            help="what search found at equal total cost, pretraining included: examples or seconds",
            metavar="COST",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the answer of each results folder with one table that fits the terminal; for several, one over all too.

    With --full or --format: all tables with their captions. With repeats, the table over repeated searches is first.
    With --published: our figures beside published ones, in the same formats. With --equal-cost: the best of as many
    search trials as the same cost pays for.
    """
    from regtune.core.errors import nearest
    from regtune.reports.brief import brief
    from regtune.reports.formats import FORMATS
    from regtune.reports.output import formatted

    if form is not None and form not in FORMATS:
        raise Refused(f"--format: unknown format {form!r}{nearest(form, FORMATS)}")
    if published is not None and equal_cost is not None:
        raise Refused("--equal-cost: expected it alone, given --published too; ask for one table after the other")
    shape = "md" if form is None and full else form
    if equal_cost is not None:
        from regtune.reports.equal_cost import at_equal_cost

        sys.stdout.write(at_equal_cost(results, equal_cost, shape, shutil.get_terminal_size().columns))
    elif published is not None:
        from regtune.reports.published.output import published_beside

        sys.stdout.write(published_beside(results, published, shape, shutil.get_terminal_size().columns))
    elif form is None and not full:
        sys.stdout.write(brief(results, shutil.get_terminal_size().columns))
    else:
        sys.stdout.write(formatted(results, form or "md"))


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="results folders", show_default=False)],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="the HTML file; by default report.html in the results folder, or in the current one for several",
        ),
    ] = None,
) -> None:
    """Write one HTML file with tables and interactive charts, and every chart as SVG and PDF in a folder beside it."""
    from regtune.reports.page.report import write_report
    from regtune.reports.page.several import write_several
    from regtune.reports.tables.folder import read_folder

    if len(results) > 1:
        page, *figures = write_several([read_folder(folder) for folder in results], to or Path("report.html"))
    else:
        sweep = read_folder(results[0])
        page, *figures = write_report(sweep, to or sweep.first.results.path / "report.html")
    print(f"wrote {page}")
    if figures:
        print(f"wrote {figures[0].parent}: {len(figures)} files")


@app.command()
def frames(
    results: Annotated[Path, typer.Argument(help="a results folder", show_default=False)],
    to: Annotated[Path | None, typer.Option("--to", help="folder to write into; by default the results folder")] = None,
) -> None:
    """Write trials and epochs as Parquet files for other tools; the log stays the only source of truth."""
    from regtune.results.loader import load
    from regtune.results.parquet import write_frames

    loaded = load(results)
    for path in write_frames(loaded, to or loaded.path):
        print(f"wrote {path}")


@app.command()
def export(
    results: Annotated[Path, typer.Argument(help="a results folder", show_default=False)],
    arm: Annotated[str, typer.Option(help="the arm whose network to export", show_default=False)],
    number: Annotated[
        int | None, typer.Option(help="number of the confirmed trial; by default the best by validation")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="folder to write into")] = Path(),
    form: Annotated[
        str, typer.Option("--format", help="regtune; without need of it: onnx, pt2 (torch.export), state_dict")
    ] = "regtune",
    data: DataFolder = None,
    download: Download = False,
) -> None:
    """Write the weights of a confirmed trial (retrained if they were not kept) and Python code that loads them."""
    from regtune.data import DataLocation
    from regtune.execution.export import export as export_weights
    from regtune.results.loader import load

    loaded = load(results)
    place = DataLocation(root=data, download=download)
    for path in export_weights(loaded, arm, number, to, form=form, place=place, say=_to_stderr):
        print(f"wrote {path}")


def _to_stderr(text: str) -> None:
    """Print what a user should know beside what was asked for."""
    print(f"regtune: {text}", file=sys.stderr, flush=True)


@app.command()
def trial(
    source: Annotated[Path, typer.Argument(help="a sweep file or a results folder", show_default=False)],
    arm: Annotated[str | None, typer.Option(help="arm of the sweep file; by default the first")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="value of a knob of the arm, as mixup.alpha=0.4; may be repeated")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed", min=0, max=2_000_000_000)] = 0,
    row: Annotated[str | None, typer.Option(help="a recorded trial: its id or arm/phase/number")] = None,
    plugin: Plugin = None,
    data: DataFolder = None,
    download: Download = False,
) -> None:
    """Train one trial in this process without Ray, or retrain a recorded one and compare every number."""
    from regtune.data import DataLocation
    from regtune.execution import reproduce, try_out

    place = DataLocation(root=data, download=download)
    if source.is_dir() or source.suffix == ".jsonl":
        if row is None:
            raise Refused(f"{source}: a results folder needs --row with the id of a trial, or arm/phase/number")
        raise typer.Exit(reproduce.reproduce(source, row, place))
    if row is not None:
        raise Refused(f"{source}: --row needs a results folder")
    raise typer.Exit(try_out.show_trial(source, arm, setting or [], seed, tuple(plugin or ()), place))
