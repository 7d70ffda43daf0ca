"""Runs of sweeps as jobs of a Ray cluster, `regtune serve --address`: those of `regtune submit --address`.

The cluster sees the results folder under the same path. A job says in its metadata in which folder its sweep lies: by
that it is found, by every service of the folder, and nothing is remembered here.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regtune.core.errors import Refused
from regtune.core.writing import write
from regtune.service.problems import Denied
from regtune.service.runs import file_of
from regtune.service.settings import Settings

if TYPE_CHECKING:  # Ray and torch are imported when the first job is asked for: they take seconds, and memory
    from ray.job_submission import JobSubmissionClient

    from regtune.execution.ray.jobs import Job

SECONDS_FRESH = 1.0  # that an answer of the job server is good for: a list of sweeps asks for each of them


class RayJobs:
    """Runs as jobs of the cluster whose job server is at an address; raises Denied (503) where it refuses."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings, self._address = settings, address
        self._connecting, self._asking = threading.Lock(), threading.Lock()
        self._known: tuple[float, list[Job] | Denied] = (-SECONDS_FRESH, [])

    def start(self, folder: Path, text: bytes, plugins: Sequence[str]) -> None:
        """Write the sweep file and submit a job that runs it; raises Denied where one does already."""
        with self._client() as client:
            from regtune.execution.ray.job_server import check_version
            from regtune.execution.ray.jobs import jobs, submit
            from regtune.execution.ray.package import JobOptions
            from regtune.sweep.sweep import Sweep

            check_version(client, self._address)
            if _newest(jobs(client), folder, up=True) is not None:
                raise Denied(409, f"{folder.name}: expected a sweep that does not run, this one does; stop it first")
            folder.mkdir(parents=True, exist_ok=True)
            write(file_of(folder), text)
            options = JobOptions(
                results=str(self._settings.results),
                data=str(self._settings.data) if self._settings.data is not None else None,
                download=self._settings.download,
                read_at=str(file_of(folder)),
            )
            submit(client, Sweep.read(file_of(folder)), file_of(folder), options)
        self._forget()

    def stop(self, folder: Path) -> bool:
        """Ask the job of a sweep to end; return whether there was one. Ray sends it SIGTERM first."""
        with self._client() as client:
            from regtune.execution.ray.jobs import jobs

            job = _newest(jobs(client), folder, up=True)
        if job is None:
            return False
        # Until it has ended: a job that is being set up does not hear the first call.
        threading.Thread(target=self._stop, args=(job.id,), daemon=True).start()
        return True

    def _stop(self, name: str) -> None:
        from regtune.execution.ray.jobs import stop

        with contextlib.suppress(Denied), self._client() as client:  # what stands in the way says the next status
            stop(client, name)
        self._forget()

    def is_up(self, folder: Path) -> bool:
        """Return whether the job of a sweep waits or runs."""
        return file_of(folder).exists() and _newest(self._jobs(), folder, up=True) is not None

    def output(self, folder: Path, most: int) -> str:
        """Return the last so many bytes of the log of the newest job of a sweep, or what Ray says where it has none."""
        job = _newest(self._jobs(), folder, up=False) if file_of(folder).exists() else None
        if job is None:
            return ""
        with self._client() as client:
            from regtune.execution.ray.jobs import log

            lines = log(client, job.id) or [job.message or ""]
        return "".join(f"{line}\n" for line in lines).encode()[-most:].decode("utf-8", "replace")

    def _jobs(self) -> list[Job]:
        """Return the jobs of the cluster as they were at most SECONDS_FRESH ago; a refusal too is kept so long."""
        with self._asking:
            at, known = self._known
            if time.monotonic() - at >= SECONDS_FRESH:
                try:
                    with self._client() as client:
                        from regtune.execution.ray.jobs import jobs

                        known = jobs(client)
                except Denied as error:
                    known = error
                self._known = (time.monotonic(), known)
        if isinstance(known, Denied):
            raise Denied(known.status, str(known))
        return known

    def _forget(self) -> None:
        with self._asking:
            self._known = (-SECONDS_FRESH, [])

    @contextlib.contextmanager
    def _client(self) -> Iterator[JobSubmissionClient]:
        """Open the job server; inside the block, whatever it refuses is Denied."""
        from regtune.execution.ray.job_server import connect

        try:
            with contextlib.ExitStack() as stack:
                with self._connecting:  # it sets variables of this process for a moment
                    client = stack.enter_context(connect(self._address))
                yield client
        except Denied:
            raise
        except Refused as error:
            raise Denied(503, str(error)) from error


def _newest(found: list[Job], folder: Path, *, up: bool) -> Job | None:
    """Return the newest job of a folder, with `up` one that has not ended; None where there is none."""
    mine = [job for job in found if job.results == str(folder)]
    return next((job for job in mine if not (up and job.over)), None)
