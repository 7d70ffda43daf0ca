"""Sweeps as jobs of a Ray cluster: submitted, looked at, stopped. A sweep has one job, named after its content."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ray.job_submission import JobDetails, JobSubmissionClient

from regtune.core.errors import Refused, nearest, shown
from regtune.execution.ray.job_server import cluster_time
from regtune.execution.ray.package import JobOptions, entrypoint, packaged
from regtune.sweep.sweep import Sweep

SECONDS_TO_STOP = 20  # between SIGTERM and SIGKILL; Ray's own 3 s are short for a driver on a busy head
SECONDS_TO_SETTLE = 5
MARK = "regtune"  # the key that tells our jobs from others
BEGINNING = "Running entrypoint for job"  # Ray writes this each time a job begins, into one log
PROGRESS = re.compile(r"(repeat \d+ of \d+: )?search \d+/\d+, confirm \d+/(at most )?\d+, .*")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A sweep's job. `state` is pending, running, succeeded, failed or stopped; times are Unix seconds."""

    id: str
    sweep: str
    state: str
    results: str
    started: float | None = None
    ended: float | None = None
    message: str | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.state not in ("pending", "running")


def job_id(sweep: Sweep) -> str:
    """Return the id of a sweep's job: its name and a hash of what its log would call the same sweep."""
    content = hashlib.sha256(json.dumps(sweep.plain(), sort_keys=True).encode()).hexdigest()
    return f"regtune-{sweep.name}-{content[:8]}"


def jobs(client: JobSubmissionClient) -> list[Job]:
    """Return every job of regtune that the cluster knows, the newest first."""
    ours = [_job(details) for details in client.list_jobs() if MARK in (details.metadata or {})]
    return sorted(ours, key=lambda job: job.started or 0.0, reverse=True)


def find(client: JobSubmissionClient, name: str) -> Job:
    """Return a job by its id; raises Refused with the nearest one."""
    known = {job.id: job for job in jobs(client)}
    if name not in known:
        there = nearest(name, known) or " (the cluster has none; a head that was started anew has forgotten its jobs)"
        raise Refused(f"ID: unknown job {shown(name)}{there}")
    return known[name]


def submit(client: JobSubmissionClient, sweep: Sweep, file: Path, options: JobOptions) -> tuple[Job, bool]:
    """Hand a sweep to the cluster, and whether that was needed: one that is under way is left alone.

    Where the earlier job has ended, the sweep's log makes the new one go on from there.
    """
    name = job_id(sweep)
    earlier = next((job for job in jobs(client) if job.id == name), None)
    if earlier is not None and not earlier.over:
        return earlier, False
    if earlier is not None:
        _forget(client, earlier)
    with packaged(sweep, file) as folder:
        client.submit_job(
            submission_id=name,
            entrypoint=entrypoint(sweep, file, options),
            entrypoint_num_cpus=0,  # the driver waits; it takes no trial's place
            runtime_env={
                "working_dir": str(folder),
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(SECONDS_TO_STOP)},
            },
            metadata={MARK: sweep.name, "results": f"{options.results.rstrip('/')}/{sweep.name}"},
        )
    return find(client, name), True


def stop(client: JobSubmissionClient, name: str) -> Job:
    """Stop a job and return it when it has ended; raises Refused where it does not."""
    job = find(client, name)
    if job.over:
        return job
    deadline = time.monotonic() + 2 * SECONDS_TO_STOP
    while time.monotonic() < deadline:
        client.stop_job(name)  # each time anew: a job that is being set up does not hear it yet
        time.sleep(0.3)
        if (job := find(client, name)).over:
            return job
    raise Refused(f"ID: {name} was asked to stop and is still {job.state}; ask for its status later")


def log(client: JobSubmissionClient, name: str) -> list[str]:
    """Return the lines that a job and earlier jobs of the same sweep have printed."""
    return str(client.get_job_logs(find(client, name).id)).splitlines()


def follow(client: JobSubmissionClient, name: str) -> Iterator[str]:
    """Yield the lines of a job as they come, until it ends."""
    chunks = client.tail_job_logs(find(client, name).id)

    async def following() -> str | None:
        return await anext(chunks, None)

    rest = ""
    with asyncio.Runner() as loop:
        while (chunk := loop.run(following())) is not None:
            *lines, rest = (rest + chunk).split("\n")
            yield from lines
    if rest:
        yield rest


def progress(lines: list[str]) -> str | None:
    """Return the newest line of progress in a log, None where the job has begun and not printed one."""
    for line in reversed(lines):
        if PROGRESS.fullmatch(line):
            return line
        if line.startswith(BEGINNING):
            return None
    return None


def _forget(client: JobSubmissionClient, job: Job) -> None:
    """Delete a job that has ended, once Ray's monitor, which looks every second, has seen it end.

    Before that the monitor would take the next job of this id for the one that ended, and call it failed.
    """
    while job.ended is not None and cluster_time(client) < job.ended + SECONDS_TO_SETTLE:
        time.sleep(0.5)
    client.delete_job(job.id)


def _job(details: JobDetails) -> Job:
    said = (details.message or "").strip().splitlines()
    return Job(
        id=details.submission_id,
        sweep=details.metadata[MARK],
        state=details.status.value.lower(),
        results=details.metadata["results"],
        started=details.start_time / 1000 if details.start_time else None,
        ended=details.end_time / 1000 if details.end_time else None,
        message=said[-1] if said else None,
    )
