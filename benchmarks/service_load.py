"""What a service takes while many watch one live sweep, and what is lost where it is killed.

`python benchmarks/service_load.py --clients 50 --trials 2000` serves an empty folder, submits a sweep, and watches it
with clients that ask what the page asks: how it stands as a stream, tables and a page of trials every five seconds,
figures every minute, both as seldom as the service says; the status alone is asked for every ten seconds, as a client
from Python would. Some (`--readers`) follow all rows of the log instead, and miss none. With `--kills 20` the service
is killed so often and begun anew while they go on. Prints the percentiles of the status call, how soon a row is on a
page, the service's CPU seconds beside those of the sweep, its peak memory, and whether every reader got every row once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from regtune.service.runs import LOCK, OUTPUT
from regtune.storage.layout import LOG
from regtune.storage.log import LogFile

SWEEP = """
name = "watched"
seed = 1
[data]
name = "digits"
[network]
name = "mlp"
widths = [{width}, {width}]
[optimizer]
name = "sgd"
learning_rate = {{ low = 0.01, high = 0.3, log = true }}
[training]
epochs = {epochs}
batch = 64
[search]
trials = {trials}
[confirm]
seeds = 8
[arms.baseline]
[arms.dropout.dropout]
[arms.l2.l2]
[arms.mixup.mixup]
[arms.label_smoothing.label_smoothing]
"""
ARMS = 5
STATUS, TABLES, FIGURES = 10.0, 5.0, 60.0  # seconds between two looks of a page
TICK = 0.5  # seconds between two looks at what is due
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A service, and what it has taken."""

    port: int
    results: Path
    cpu: float = 0.0
    peak: int = 0
    process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, and wait until it answers."""
        words = ["serve", "--results", str(self.results), "--in-process", "--port", str(self.port)]
        self.process = subprocess.Popen([sys.executable, "-m", "regtune", *words], stdout=subprocess.PIPE)
        if self.process.stdout is None or not self.process.stdout.readline():
            raise RuntimeError("the service did not start")

    def kill(self) -> None:
        """Kill it, and add what it has taken."""
        if self.process is not None:
            self.look()
            self.cpu += cpu_of(self.process.pid)
            self.process.kill()
            self.process.wait()
            self.process = None

    def look(self) -> None:
        """Note its memory."""
        if self.process is not None:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
            self.peak = max(self.peak, int(text.partition("VmHWM:")[2].split()[0]) // 1024)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, without those of its children: the sweep is one of the service."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


@dataclass
class Client:
    """Somebody who watches until the sweep is over; where the service is away, it asks again."""

    base: str
    over: threading.Event
    took: list[float] = field(default_factory=list)
    away: int = 0

    def watch(self) -> None:
        """Watch the stream, and look from time to time."""
        with httpx.Client(trust_env=False, timeout=30.0) as asks:
            looks = threading.Thread(target=self._look, args=(asks,))
            looks.start()
            while not self.over.is_set():
                with self._forgiven():
                    self._follow(asks)
            looks.join()

    def _follow(self, asks: httpx.Client) -> None:
        raise NotImplementedError

    def _look(self, asks: httpx.Client) -> None:
        due = time.monotonic() + STATUS
        while not self.over.wait(TICK):
            with self._forgiven():
                begin = time.monotonic()
                if begin > due:
                    due = begin + STATUS
                    asks.get(self.base).raise_for_status()
                    self.took.append(time.monotonic() - begin)
                self._look_beside(asks)

    def _look_beside(self, asks: httpx.Client) -> None:
        """Ask what else is asked."""

    def _lines(self, asks: httpx.Client, path: str, headers: dict[str, str]) -> Iterator[str]:
        with asks.stream("GET", f"{self.base}/{path}", headers=headers, timeout=20.0) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                yield line
                if self.over.is_set():
                    return

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError:  # away, or too much at once: it is asked again
            self.away += 1
            time.sleep(0.2)


@dataclass
class Page(Client):
    """A page of the sweep: its state, and how old a row may be at most that a status was the first to tell of."""

    state: str = ""
    ages: list[float] = field(default_factory=list)

    def _follow(self, asks: httpx.Client) -> None:
        before = None
        for line in self._lines(asks, "watch", {}):
            if line.startswith("data: "):
                status = json.loads(line[6:])
                if before and status["epochs"] > before["epochs"]:
                    self.ages.append(time.time() - before["newest"])
                before, self.state = status if status["newest"] else None, status["state"]

    tables = figures = 0.0  # when they are due

    def _look_beside(self, asks: httpx.Client) -> None:
        now = time.monotonic()
        if now > self.tables:
            answer = asks.get(f"{self.base}/table?format=html")
            asks.get(f"{self.base}/trials?limit=25")
            self.tables = now + max(TABLES, float(answer.headers.get("Retry-After", 0)))
        if now > self.figures:
            found = asks.get(f"{self.base}/figures")
            for each in found.json() if found.is_success else ():
                if not each["why"]:
                    asks.get(f"{self.base}/figures/{each['name']}")
            self.figures = now + max(FIGURES, float(found.headers.get("Retry-After", 0)))


@dataclass
class Reader(Client):
    """Somebody who wants all rows of the log; goes on behind the newest that it has."""

    ids: list[str] = field(default_factory=list)

    def _follow(self, asks: httpx.Client) -> None:
        newest = ""
        for line in self._lines(asks, "events", {"Last-Event-ID": self.ids[-1]} if self.ids else {}):
            if line.startswith("id: "):
                newest = line[4:]
            elif not line and newest:  # an event counts once it is whole
                self.ids.append(newest)
                newest = ""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def watched(clients: int, readers: int, trials: int, epochs: int, width: int, kills: int, folder: Path) -> None:
    """Run a sweep that is watched, and print what it took."""
    service = Process(free_port(), folder)
    service.begin()
    try:
        _watched(service, clients, readers, trials, epochs, width, kills, folder)
    finally:
        service.kill()


def _watched(
    service: Process, clients: int, readers: int, trials: int, epochs: int, width: int, kills: int, folder: Path
) -> None:
    api = f"http://127.0.0.1:{service.port}/api/v1"
    text = SWEEP.format(trials=trials // ARMS, epochs=epochs, width=width)
    began = time.monotonic()
    httpx.post(f"{api}/sweeps", json={"toml": text, "full": False}, timeout=60, trust_env=False).raise_for_status()
    pid = int((folder / "watched" / LOCK).read_text())
    over = threading.Event()
    pages = [Page(f"{api}/sweeps/watched", over) for _ in range(clients - readers)]
    those = [Reader(f"{api}/sweeps/watched", over) for _ in range(readers)]
    every: list[Client] = [*pages, *those]
    threads = [threading.Thread(target=each.watch, daemon=True) for each in every]
    for thread in threads:
        thread.start()
    left, state, sweep_cpu, next_kill = kills, "starting", 0.0, time.monotonic() + 5
    while state in ("starting", "running", "away"):
        time.sleep(0.5)
        with contextlib.suppress(FileNotFoundError):
            sweep_cpu = max(sweep_cpu, cpu_of(pid))
        service.look()
        if left and time.monotonic() > next_kill:
            service.kill()
            service.begin()
            left, next_kill = left - 1, time.monotonic() + 4
        try:
            state = httpx.get(f"{api}/sweeps/watched", timeout=30, trust_env=False).json()["state"]
        except httpx.TransportError:
            state = "away"
    seconds = time.monotonic() - began
    log = folder / "watched" / LOG
    rows = sum(1 for _ in LogFile(log).reading().as_written()) if log.exists() else 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (
        any(len(each.ids) < rows for each in those) or any(page.state != state for page in pages)
    ):
        time.sleep(0.2)
    over.set()
    if not rows:
        raise RuntimeError((folder / "watched" / OUTPUT).read_text())
    status = httpx.get(f"{api}/sweeps/watched", timeout=30, trust_env=False).json()
    for thread in threads:
        thread.join()
    service.kill()
    took = sorted(each for client in every for each in client.took)
    ages = sorted(each for page in pages for each in page.ages)
    whole = all(len(each.ids) == len(set(each.ids)) == rows for each in those)
    print(f"{clients} clients, {sum(status['trials'].values())} trials, {status['epochs']} epochs in {seconds:.0f} s")
    print(json.dumps(status["counts"]))
    print(f"state {status['state']}: {json.dumps(status['trials'])}; {kills - left} kills")
    print(f"status: {_percentiles(took)} of {len(took)} calls; {sum(each.away for each in every)} times away")
    print(f"a row is on a page after at most: {_percentiles(ages)} of {len(ages)} statuses that tell of new epochs")
    print(f"CPU: service {service.cpu:.1f} s, sweep {sweep_cpu:.1f} s, {100 * service.cpu / sweep_cpu:.1f} %")
    print(f"memory: peak {service.peak} MB")
    print(f"pages: {sum(page.state == status['state'] for page in pages)} of {len(pages)} know that it is over")
    print(f"events: {rows} rows, each of {readers} readers got every row once: {whole}")


def _percentiles(seconds: list[float]) -> str:
    """Return some percentiles of sorted times, in words."""
    return ", ".join(
        f"p{100 * at:.0f} {1000 * seconds[int(at * (len(seconds) - 1))]:.0f} ms" for at in (0.5, 0.95, 0.99, 1)
    )


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--readers", type=int, default=5, help="those of them that read all rows")
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--width", type=int, default=256, help="of the network's two layers: how much a trial takes")
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watched(given.clients, given.readers, given.trials, given.epochs, given.width, given.kills, Path(folder))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
