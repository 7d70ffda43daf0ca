"""Run a command and measure its wall time and the CPU time of every process that it leads to.

Ray detaches its daemons and workers from their parents and lets the kernel reap them, so neither RUSAGE_CHILDREN nor
the tree of parents has them all. They do inherit the environment, so /proc is asked every 0.25 s for each process
with a mark that only this run has, and the newest value counts. A process that renames itself, as Ray's workers do,
may overwrite what /proc shows of its environment: once seen, it stays in by its pid and start, and the children of
one that is in are in. What is lost is at most the last 0.25 s of each process (or one that lives for less).
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PAUSE = 0.25  # seconds between two looks
PATIENCE = 30.0  # seconds that daemons have for ending after the command itself
TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Seconds of the command, CPU seconds of all its processes and of the rest of the machine, processes seen."""

    wall: float
    cpu: float
    other: float
    processes: int


def run_measured(command: Sequence[str], environment: Mapping[str, str], output: Path) -> Cost:
    """Run a command with additional environment variables and its output in a file; return its cost.

    Raises RuntimeError with the end of the output if the command fails.
    """
    mark, seen = secrets.token_hex(16), dict[tuple[str, str], float]()
    started, busy = time.perf_counter(), machine_busy()
    with output.open("wb") as file:
        variables = {**os.environ, **environment, "REGTUNE_BENCHMARK": mark}
        child = subprocess.Popen(command, env=variables, stdout=file, stderr=subprocess.STDOUT)
        while child.poll() is None:
            look(mark, seen)
            time.sleep(PAUSE)
    wall = time.perf_counter() - started
    while look(mark, seen) and time.perf_counter() - started < wall + PATIENCE:
        time.sleep(PAUSE)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output.read_text(errors='replace')[-3000:]}")
    cpu = sum(seen.values())
    return Cost(wall, cpu, machine_busy() - busy - cpu, len(seen))


def look(mark: str, seen: dict[tuple[str, str], float]) -> int:
    """Note the CPU seconds so far of every marked process, by pid and start; return how many of them live."""
    alive, ours = 0, {pid for pid, _ in seen}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()  # a name may hold spaces and brackets
            state, parent, user, system, start = (fields[place] for place in (0, 1, 11, 12, 19))
            key = (entry.name, start)
            if key in seen or parent in ours or mark.encode() in (entry / "environ").read_bytes():
                seen[key] = (int(user) + int(system)) / TICK
                alive += state != "Z"
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
    return alive


def machine_busy() -> float:
    """Return the CPU seconds that the whole machine has worked since it started."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / TICK
