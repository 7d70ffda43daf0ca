"""The commands for a sweep file: check, plan, run."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regtune.cli.options import (
    DataFolder,
    Download,
    Full,
    InProcess,
    LaneWidth,
    LogTo,
    Plugin,
    ResultsFolder,
    RetryFailed,
    Reuse,
    Set,
    SweepFile,
    lane_width_of,
)
from regtune.core.version import PACKAGE

if TYPE_CHECKING:
    from regtune.data import DataLocation
    from regtune.sweep.sweep import Sweep

app = typer.Typer()


@app.command()
def check(
    sweep: SweepFile,
    plugin: Plugin = None,
    set_: Set = None,
    data: DataFolder = None,
    download: Download = False,
    aa: Annotated[
        bool,
        typer.Option("--aa", help="A/A check: train only the baseline and a copy of it; is the copy called better?"),
    ] = False,
    results: ResultsFolder = Path("results"),
    in_process: InProcess = False,
) -> None:
    """Check a sweep file, its data and one real training step of every arm. --aa trains the baseline and a copy."""
    from regtune.data import DataLocation, named
    from regtune.execution.idle_gpus import gpus_here, idle_gpus
    from regtune.execution.preflight import preflight, remarks
    from regtune.execution.rehearsal import rehearse
    from regtune.execution.touched import touched
    from regtune.sweep.searched import doubts
    from regtune.sweep.sweep import Sweep

    plan = Sweep.read(sweep, tuple(plugin or ()), set_ or (), download=download)
    if aa:
        _check_copy(plan, results, in_process=in_process, place=DataLocation(root=data, download=download))
        return
    pool, splits = preflight(plan, DataLocation(root=data, download=download))
    notes = rehearse(plan, splits)
    counts = splits.counts
    arms = "1 arm" if len(plan.arms) == 1 else f"{len(plan.arms)} arms"
    print(
        f"{sweep}: ok, {arms}; {counts['train']} training, {counts['validation']} validation, "
        f"{counts['test']} test examples of {splits.classes} classes{named(splits.names)}"
    )
    for text in [*remarks(plan, pool), *touched(plan, splits)]:
        print(text)
    for text in [*doubts(plan), *notes, *idle_gpus(plan.cluster, gpus_here(), "this machine")]:
        print(f"note: {text}")


@app.command()
def plan(sweep: SweepFile, plugin: Plugin = None, set_: Set = None, data: DataFolder = None) -> None:
    """Print what a sweep would do: arms, searched and fixed knobs, trials, epochs, rungs, disk space."""
    from rich.console import Console
    from rich.text import Text

    from regtune.cli.disk import weights_words
    from regtune.cli.plan import plan_table
    from regtune.data import DataLocation
    from regtune.sweep.sweep import Sweep

    loaded = Sweep.read(sweep, tuple(plugin or ()), set_ or ())
    Console().print(plan_table(loaded), Text(weights_words(loaded, DataLocation(root=data))), sep="\n")


@app.command()
def run(
    sweep: SweepFile,
    plugin: Plugin = None,
    set_: Set = None,
    results: ResultsFolder = Path("results"),
    in_process: InProcess = False,
    address: Annotated[
        str | None, typer.Option("--address", help="a Ray cluster that this machine belongs to: auto, or host:port")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option("--max-hours", help="stop search after so many hours, in each repeat", min=0)
    ] = None,
    max_gpu_hours: Annotated[
        float | None,
        typer.Option("--max-gpu-hours", help="stop search after so many GPU-hours of trials, in each repeat", min=0),
    ] = None,
    optuna_storage: Annotated[
        str | None,
        typer.Option(help="copy search into this Optuna storage, for example sqlite:///search.db", metavar="URL"),
    ] = None,
    log_to: LogTo = None,
    retry_failed: RetryFailed = False,
    reuse: Reuse = None,
    lane_width: LaneWidth = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be done; start nothing")] = False,
    full: Full = False,
    data: DataFolder = None,
    download: Download = False,
) -> None:
    """Run or resume a sweep and its repeats: search, confirm, table."""
    from rich.console import Console

    from regtune.cli.dry_run import forecast_all
    from regtune.cli.progress import Progress, live
    from regtune.data import DataLocation
    from regtune.execution.limits import Limit
    from regtune.execution.optuna_mirror import Mirror
    from regtune.execution.repeats import run_all
    from regtune.execution.reuse import reusing
    from regtune.execution.run import RunOptions
    from regtune.execution.tracking import tracked
    from regtune.execution.watch import Watch
    from regtune.reports.brief import brief_of
    from regtune.reports.output import write_folder
    from regtune.reports.tables.folder import read_folder
    from regtune.sweep.sweep import Sweep

    read = Sweep.read(sweep, tuple(plugin or ()), set_ or (), download=download)
    loaded = reusing(read, reuse or ()).in_lanes(lane_width_of(lane_width))
    console = Console()
    options = RunOptions(
        in_process=in_process,
        address=address,
        place=DataLocation(root=data, download=download),
        limit=Limit(hours=max_hours, gpu_hours=max_gpu_hours),
        retry_failed=retry_failed,
    )
    if dry_run:
        console.print(forecast_all(loaded, results, options))
        return

    @contextlib.contextmanager
    def watching(repeat: Sweep) -> Iterator[Watch]:
        progress = Progress(repeat)
        watch = Mirror(repeat, optuna_storage).beside(progress.watching) if optuna_storage else progress.watching
        with tracked(repeat, results, log_to or (), watch) as tracking, live(progress, console):
            yield tracking

    with _interruptible():
        run_all(
            loaded,
            results,
            options,
            watching=watching,
            say=lambda text: console.print(f"regtune: {text}", style="dim", markup=False, soft_wrap=True),
        )
    folder = loaded.folder(results)
    tables = read_folder(folder)
    written, confirmed, failed = write_folder(tables)
    width = shutil.get_terminal_size().columns
    print(f"\n{written[0].read_text(encoding='utf-8') if full else brief_of([tables], [folder], width)}")
    print(f"written: {written[0]}, {', '.join(str(p.relative_to(written[0].parent)) for p in written[1:])}, log.jsonl")
    if failed:
        text = f"arms whose trials all failed: {', '.join(failed)}; {written[0]} has the messages"
        print(f"regtune: {text}, regtune trial {folder} --row ROW a traceback", file=sys.stderr)
    if loaded.confirm.seeds and not confirmed:
        print("regtune: no arm has a confirmed trial; the messages above say why", file=sys.stderr)
    if failed or (loaded.confirm.seeds and not confirmed):
        raise typer.Exit(1)


def _check_copy(sweep: Sweep, results: Path, *, in_process: bool, place: DataLocation) -> None:
    """Train the baseline and its copy in a folder of their own; print what the copy would have been called."""
    from rich.console import Console

    from regtune.cli.progress import Progress, live
    from regtune.execution.run import run
    from regtune.reports.tables.aa import aa
    from regtune.results.loader import load
    from regtune.sweep.aa import aa_sweep

    one, console = aa_sweep(sweep), Console()
    progress = Progress(one)
    with _interruptible(), live(progress, console):
        run(one, results, watch=progress.watch, in_process=in_process, place=place)
    found = aa(load(one.folder(results)))
    print(found.words if found else "No trial of the copy ended well, so there is no verdict.")
    print(f"written: {one.folder(results) / 'log.jsonl'}")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Say what becomes of a run that Ctrl-C or SIGTERM ends, and exit as such."""
    from regtune.core.signals import sigterm_interrupts

    with sigterm_interrupts() as terminated:
        try:
            yield
        except KeyboardInterrupt as error:
            text = "regtune: interrupted; finished work is kept, and the same command resumes"
            print(text, file=sys.stderr)
            raise typer.Exit(143 if terminated() else 130) from error


def sweep_files() -> list[Path]:
    """Return the shipped sweep files, from the wheel or from the checkout."""
    return _shipped("*.toml")


def beside_sweeps() -> list[Path]:
    """Return the plugins that shipped sweep files name, which lie beside them."""
    return _shipped("*.py")


def templates() -> dict[str, list[Path]]:
    """Return the files of each template, by its name; one is a sweep that ships."""
    found = {"own-network": [file for file in (*sweep_files(), *beside_sweeps()) if file.stem == "own_network"]}
    for file in _shipped("*/*", "templates"):
        if file.is_file():
            found.setdefault(file.parent.name, []).append(file)
    return found


def _shipped(pattern: str, name: str = "sweeps") -> list[Path]:
    # The build puts these folders into the package; an editable install sees them beside the package.
    folder = PACKAGE / name if (PACKAGE / name).is_dir() else PACKAGE.parent / name
    return sorted(folder.glob(pattern))
