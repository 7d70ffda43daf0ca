"""The command line: `regtune run sweeps/quickstart.toml`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from regtune.errors import Refused

# Rooms are imported inside the commands: torch, ray and pandas cost seconds, and `table` needs no torch.

app = typer.Typer(
    help="Which regularizer, at which strength, is worth it for my network on my data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SweepFile = Annotated[Path, typer.Argument(help="a sweep file (TOML)", show_default=False)]
Plugin = Annotated[
    list[str] | None, typer.Option("--plugin", help="a module with your own regularizers, networks or data")
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", envvar="REGTUNE_DATA", help="folder below which data sets lie", show_default=False),
]
Download = Annotated[bool, typer.Option("--download", help="fetch a published data set that is missing")]
ResultsFolder = Annotated[Path, typer.Option("--results", help="folder under which results are kept")]


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
def check(sweep: SweepFile, plugin: Plugin = None, data: DataFolder = None, download: Download = False) -> None:
    """Check a sweep file and its data; start nothing."""
    from regtune.data import Place
    from regtune.examine import examine
    from regtune.sweep import Sweep

    plan = Sweep.read(sweep, tuple(plugin or ()))
    splits = examine(plan, Place(root=data, download=download)).splits
    test = len(splits.test) if splits.test is not None else 0
    print(
        f"{sweep}: ok, {len(plan.arms)} arms; {len(splits.train)} training, {len(splits.validation)} "
        f"validation, {test} test examples of {splits.classes} classes"
    )


@app.command()
def plan(sweep: SweepFile, plugin: Plugin = None) -> None:
    """Print what a sweep would do: arms, searched knobs, trials, epochs, rungs."""
    from rich.console import Console

    from regtune.planned import planned
    from regtune.sweep import Sweep

    Console().print(planned(Sweep.read(sweep, tuple(plugin or ()))))


@app.command()
def run(
    sweep: SweepFile,
    plugin: Plugin = None,
    results: ResultsFolder = Path("results"),
    in_process: Annotated[
        bool, typer.Option("--in-process", help="train here, one trial after the other, without Ray")
    ] = False,
    data: DataFolder = None,
    download: Download = False,
    optuna_storage: Annotated[
        str | None, typer.Option(help="copy search into this Optuna storage, as sqlite:///search.db", metavar="URL")
    ] = None,
) -> None:
    """Run what is left of a sweep: search, confirm, table."""
    from rich.console import Console

    from regtune.cluster.run import run as run_sweep
    from regtune.data import Place
    from regtune.display import Progress, live
    from regtune.mirror import Mirror
    from regtune.reports.comparison import write_tables
    from regtune.sweep import Sweep

    loaded = Sweep.read(sweep, tuple(plugin or ()))
    console = Console()
    progress, place = Progress(loaded), Place(root=data, download=download)
    watch = Mirror(loaded, optuna_storage).beside(progress.watch) if optuna_storage else progress.watch
    try:
        with live(progress, console):
            log = run_sweep(loaded, results, watch=watch, in_process=in_process, place=place)
    except KeyboardInterrupt as error:
        print("regtune: interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from error
    confirmed = write_tables(log.parent)
    print(f"\n{(log.parent / 'table.md').read_text(encoding='utf-8')}")
    print(f"written: {log.parent}/table.md, table.csv, log.jsonl")
    if loaded.confirm.seeds and not confirmed:
        print("regtune: no arm has a confirmed trial; the messages above say why", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def table(
    results: Annotated[Path, typer.Argument(help="a results folder", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="md or csv")] = "md",
) -> None:
    """Print the comparison table of a results folder."""
    from regtune.errors import nearest
    from regtune.reports.comparison import comparison, markdown
    from regtune.store import load

    if form not in ("md", "csv"):
        raise Refused(f"--format: unknown format {form!r}{nearest(form, ('md', 'csv'))}")
    loaded = load(results)
    text = markdown(loaded) if form == "md" else comparison(loaded).to_csv(index=False)
    sys.stdout.write(text)


@app.command()
def trial(
    source: Annotated[Path, typer.Argument(help="a sweep file or a results folder", show_default=False)],
    arm: Annotated[str | None, typer.Option(help="arm of the sweep file; the first if not given")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="a knob, as in mixup.alpha=0.4; may be repeated")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed", min=0, max=2_000_000_000)] = 0,
    row: Annotated[str | None, typer.Option(help="a recorded trial: its id or arm/phase/number")] = None,
    plugin: Plugin = None,
    data: DataFolder = None,
    download: Download = False,
) -> None:
    """Train one trial here without Ray, or train a recorded one again and compare every number."""
    from regtune import single
    from regtune.data import Place

    place = Place(root=data, download=download)
    if source.is_dir() or source.suffix == ".jsonl":
        if row is None:
            raise Refused(f"{source}: a results folder needs --row with the id of a trial, or arm/phase/number")
        raise typer.Exit(single.repeat(source, row, place))
    if row is not None:
        raise Refused(f"{source}: --row needs a results folder")
    single.show(source, arm, setting or [], seed, tuple(plugin or ()), place)


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
            target.write_bytes(file.read_bytes())
            print(f"wrote {target}")


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    sys.path.append(str(Path.cwd()))  # plugins are looked for where the user stands
    try:
        app()
    except Refused as error:
        print(f"regtune: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"regtune: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
