"""The commands for sweeps on a cluster: submit, status, logs, stop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regtune.cli.options import Download, LaneWidth, Plugin, RetryFailed, Reuse, SweepFile, lane_width_of

if TYPE_CHECKING:
    from regtune.execution.ray.jobs import Job

app = typer.Typer()
Address = Annotated[
    str,
    typer.Option("--address", envvar="RAY_API_SERVER_ADDRESS", help="address of the head's dashboard and job server"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Id = Annotated[str, typer.Argument(metavar="ID", help="the id that submit printed", show_default=False)]
DASHBOARD = "http://127.0.0.1:8265"


@app.command()
def submit(
    sweep: SweepFile,
    plugin: Plugin = None,
    address: Address = DASHBOARD,
    results: Annotated[
        str, typer.Option("--results", help="folder for results on the cluster's head node")
    ] = "~/regtune-results",
    data: Annotated[
        str | None, typer.Option("--data", help="folder on the cluster that contains the data sets", show_default=False)
    ] = None,
    download: Download = False,
    retry_failed: RetryFailed = False,
    reuse: Reuse = None,
    lane_width: LaneWidth = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            help="submit to regtune serve at this address instead, as http://127.0.0.1:8266; other options are its own",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a sweep and submit it to a Ray cluster as a job; it keeps running there without this machine."""
    if service is not None:
        _submit_to_service(sweep, service, as_json=as_json)
        return
    from regtune.execution.ray.job_server import check_version, connect
    from regtune.execution.ray.jobs import submit as submit_sweep
    from regtune.execution.ray.package import JobOptions, check_folder
    from regtune.sweep.reading import read_file
    from regtune.sweep.sweep import Sweep

    check_folder("--results", results)
    if data is not None:
        check_folder("--data", data)
    loaded = Sweep.read(sweep, tuple(plugin or ()))
    for option, folders in (("--reuse", reuse or ()), ("reuse", read_file(sweep).reuse)):
        for folder in folders:
            check_folder(option, folder)
    with connect(address) as client:
        check_version(client, address)
        options = JobOptions(
            results=results,
            data=data,
            download=download,
            retry_failed=retry_failed,
            reuse=reuse or (),
            lane_width=lane_width_of(lane_width),
        )
        job, new = submit_sweep(client, loaded, sweep, options)
    if as_json:
        print(json.dumps({**dataclasses.asdict(job), "submitted": new}))
        return
    print(f"{job.id}: {'submitted' if new else f'already {job.state}, nothing submitted'}")
    print(f"results: {job.results} on the head node")
    print(f"regtune logs {job.id} --follow --address {address}")


def _submit_to_service(sweep: Path, address: str, *, as_json: bool) -> None:
    from regtune.execution.client import Client

    found = Client(address).submit(sweep)
    if as_json:
        print(json.dumps(found))
        return
    print(f"{found['name']}: {'submitted' if found['submitted'] else 'already running, nothing submitted'}")
    for text in found["notes"]:
        print(text)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="a job; by default all of them")] = None,
    address: Address = DASHBOARD,
    as_json: Json = False,
) -> None:
    """Print the state of a job, or of all jobs of regtune on the cluster."""
    from regtune.execution.ray.job_server import connect
    from regtune.execution.ray.jobs import find, jobs, log, progress

    with connect(address) as client:
        if name is None:
            found = jobs(client)
            if as_json:
                print(json.dumps({"jobs": [dataclasses.asdict(job) for job in found]}))
            else:
                print("\n".join(map(_line, found)) or "no jobs of regtune on this cluster")
            return
        job, newest = find(client, name), progress(log(client, name))
    if as_json:
        print(json.dumps({**dataclasses.asdict(job), "progress": newest}))
    else:
        print(_line(job))
        print(f"progress: {newest or 'none yet'}")
        print(f"results: {job.results} on the head node")


@app.command()
def logs(
    name: Id,
    follow: Annotated[bool, typer.Option("--follow", help="follow the log until the job ends")] = False,
    address: Address = DASHBOARD,
    as_json: Json = False,
) -> None:
    """Print the log of a job."""
    from regtune.execution.ray import jobs
    from regtune.execution.ray.job_server import connect

    with connect(address) as client:
        for line in jobs.follow(client, name) if follow else jobs.log(client, name):
            print(json.dumps({"line": line}) if as_json else line, flush=True)


@app.command()
def stop(name: Id, address: Address = DASHBOARD, as_json: Json = False) -> None:
    """Stop a job; submitting it again resumes the sweep from its log."""
    from regtune.execution.ray.job_server import connect
    from regtune.execution.ray.jobs import stop as stop_job

    with connect(address) as client:
        job = stop_job(client, name)
    print(json.dumps(dataclasses.asdict(job)) if as_json else _line(job))


def _line(job: Job) -> str:
    message = f": {job.message}" if job.state in ("pending", "failed") and job.message else ""
    return f"{job.id}: {job.state}{message}"
