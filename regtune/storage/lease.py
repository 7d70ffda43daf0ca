"""The lease: whose sweep this is while its driver lives, for drivers on other machines.

A lease is a row of the log: {host, pid, seconds}. It lasts for so many seconds after the newest row; a
driver with nothing else to write renews it. On one machine the lock of the file decides at once; where a
log lies on a shared disk or volume, a second driver waits for the lease to end and is refused if it was
renewed. A driver that comes back after its lease was taken over finds rows that it did not write, and ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.storage.log import Log

SECONDS = 90.0


@contextlib.contextmanager
def held(log: Log, *, seconds: float = SECONDS, waiting: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lease of a log while the block runs; let it go at its end.

    Waits for the lease of another machine to end, and says so by `waiting`. Raises Refused if that is renewed.
    """
    _wait(log, waiting)
    mine = {"host": here(), "pid": os.getpid()}
    log.append("lease", {**mine, "seconds": seconds})
    over = threading.Event()
    renewal = threading.Thread(target=_renew, args=(log, {**mine, "seconds": seconds}, over), daemon=True)
    renewal.start()
    try:
        try:
            yield
        finally:
            over.set()
            renewal.join()
    except KeyboardInterrupt:
        log.append("lease", {**mine, "seconds": 0.0})
        raise
    # The lease of a driver that failed runs out: it may have been the log that failed.
    log.append("lease", {**mine, "seconds": 0.0})


def ends(rows: Sequence[Json], newest: float) -> float:
    """Return when the newest lease of these rows ends, in seconds since 1970, 0 without one; `newest` is the time of
    the newest row.
    """
    leases = [row for row in rows if row["event"] == "lease"]
    return newest + leases[-1]["seconds"] if leases and leases[-1]["seconds"] else 0.0


def here() -> str:
    """Return this machine's name and the boot it runs under: containers of one machine share the latter."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()} {boot.read_text(encoding='utf-8').strip() if boot.exists() else ''}".strip()


def _wait(log: Log, waiting: Callable[[str], None]) -> None:
    leases = [row for row in log.rows if row["event"] == "lease"]
    left = ends(log.rows, log.newest) - time.time()
    # Who runs on this machine held the lock of the file, and that is ours now.
    if left <= 0 or leases[-1]["host"].split()[-1] == here().split()[-1]:
        return
    holder = f"{leases[-1]['host'].split()[0]} (process {leases[-1]['pid']})"
    waiting(f"{log.path}: the driver on {holder} was active a moment ago; waiting {left:.0f} s to see if it still runs")
    time.sleep(min(left, leases[-1]["seconds"]) + 1)
    before = log.size
    log.reread()
    if log.size != before:
        raise Refused(f"{log.path}: the driver on {holder} is running this sweep; wait for it or stop it")


def _renew(log: Log, lease: Json, over: threading.Event) -> None:
    """Write the lease again whenever the log was silent for a third of its time."""
    while not over.wait(lease["seconds"] / 6):
        if time.time() - log.newest >= lease["seconds"] / 3:
            try:
                log.append("lease", lease)
            except (OSError, Refused):
                # The next row of the sweep itself meets the same fault, on the thread that can end the run.
                continue
