"""SIGKILLs of the driver over one sweep of 60 short trials, against the same sweep undisturbed.

    .venv/bin/python benchmarks/kills.py --kills 50
    .venv/bin/python benchmarks/kills.py --kills 50 --pruned
    .venv/bin/python benchmarks/kills.py --kills 5 --ray

A driver lives for a few rows of the log and is then killed: from outside while it trains; by itself inside the write
of a row, part of which is on the disk; or inside the write of a checkpoint or of weights, between the write and the
rename, with part of the file on the disk. Then the next one resumes. Each driver is forked from one process that has
imported torch and has a single thread, so that a life costs no import; it trains in its own process. With --ray
drivers are `regtune run` on a Ray of their own, killed from outside.

It must come out that the table is the undisturbed one's but for times, that the log has every epoch once and every
trial's end once, and that each driver's log begins with all whole rows of the one before. Anything else exits with 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SWEEP = """
data = { name = "synthetic", train = 48, validation = 32, test = 37, noise = 0.6 }
network = { name = "mlp", widths = [12, 12], residual = true }
optimizer = { learning_rate = { low = 0.001, high = 0.3, log = true } }
training = { epochs = 6, batch = 16 }
arms = { baseline = {}, dropout = { dropout = {} }, mixup = { mixup = {} } }
search = { trials = SEARCH, sampler = "random", population = 1, pruner = "PRUNER" }
select = { seeds = 0 }
confirm = { seeds = CONFIRM, aa = false }
cluster = { checkpoint_seconds = 0 }
"""
KINDS = {"outside": 0.5, "in a row": 0.25, "in a file": 0.25}
NORMAL = 0


def driver(folder: Path, kind: str, step: int, part: float) -> int:
    """Fork a driver that is killed in its `step`-th write of a kind; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        arm(kind, step, part)
        drive(folder)
        code = NORMAL
    finally:
        os._exit(code)


def arm(kind: str, step: int, part: float) -> None:
    """Have this process killed in its `step`-th write of a row or of a file, with a part of it on the disk."""
    write, force, left = os.write, os.fsync, step

    def row(file: int, line: bytes) -> int:
        nonlocal left
        left -= 1
        if not left:
            write(file, line[: int(part * len(line))])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, line)

    def bytes_(file: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.ftruncate(file, int(part * os.fstat(file).st_size))
            os.kill(os.getpid(), signal.SIGKILL)
        force(file)

    if kind == "in a row":
        os.write = row  # type: ignore[assignment]  # the log's write takes its arguments by place
    elif kind == "in a file":
        os.fsync = bytes_  # type: ignore[assignment]  # and so does the checkpoints' fsync


def drive(folder: Path) -> None:
    """Run what is left of the sweep in this process."""
    from regtune.execution.run import run
    from regtune.sweep.sweep import Sweep

    run(Sweep.read(folder / "kills.toml"), folder / "results", in_process=True)


def on_ray(folder: Path) -> int:
    """Start a driver with a Ray of its own; return its process id."""
    words = [sys.executable, "-m", "regtune", "run", "kills.toml"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True).pid


def killed(child: int, log: Path, rows: int, seconds: float) -> bool:
    """Kill a driver so long after it has added so many rows; return False where it has ended by itself."""
    size = log.stat().st_size if log.exists() else 0
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return over(status)
        if rows and log.exists() and log.stat().st_size > size:
            with log.open("rb") as file:
                file.seek(size)
                added = file.read().count(b"\n")
            if added >= rows:
                time.sleep(seconds)
                os.kill(child, signal.SIGKILL)
                return over(os.waitpid(child, 0)[1])
        time.sleep(0.0005)


def over(status: int) -> bool:
    """Return whether a driver was killed; raises RuntimeError where it failed in another way."""
    code = os.waitstatus_to_exitcode(status)
    if code not in (NORMAL, -signal.SIGKILL):
        raise RuntimeError(f"a driver ended with {code}")
    return code == -signal.SIGKILL


def disturbed(folder: Path, log: Path, kills: int, draws: np.random.Generator, *, ray: bool) -> Counter[str]:
    """Run the sweep to its end with kills; return how many there were by kind, by phase, and wrong prefixes."""
    counts, before, life = Counter[str](), b"", 0
    while True:
        kind = "outside" if ray else str(draws.choice(list(KINDS), p=list(KINDS.values())))
        step, part = int(draws.integers(3, 13) if kind != "in a file" else draws.integers(1, 9)), float(draws.random())
        rows = step if kind == "outside" and counts["kills"] < kills * 2 else 0
        if ray:
            child, rows = on_ray(folder), rows * 6 if counts["kills"] < kills else 0
        else:
            child = driver(folder, kind, step, part)
        was_killed = killed(child, log, rows, float(draws.uniform(0, 0.01)))
        now = log.read_bytes() if log.exists() else b""
        counts["rows changed"] += not now.startswith(before[: before.rfind(b"\n") + 1])
        before, life = now, life + 1
        if not was_killed:
            return counts
        counts["kills"] += 1
        counts[kind] += 1
        counts["in confirm" if b'"confirm",' in now.replace(b'"confirm":', b"") else "in search"] += 1
        counts["torn rows left"] += not now.endswith(b"\n")


def check(name: str, holds: bool) -> bool:
    """Print whether something holds."""
    print(f"  {'ok ' if holds else 'NOT'} {name}")
    return holds


def compared(folder: Path, whole: Path, counts: Counter[str]) -> bool:
    """Print what became of a disturbed sweep beside the undisturbed one; return whether all is as it must be."""
    from regtune.analysis.comparison import comparison
    from regtune.results.loader import load
    from regtune.storage.log import read_log

    def table(log: Path) -> str:
        return comparison(load(log)).filter(regex="^(?!.*(seconds|data_share))").to_csv()

    rows, torn = read_log(folder)
    epochs = Counter((*row["cell"], row["epoch"]["number"]) for row in rows if row["event"] == "epoch")
    ends = Counter(tuple(row["cell"]) for row in rows if row["event"] == "ended")
    planned = sum(row["event"] == "ended" for row in read_log(whole)[0])
    resumed = sum(bool(row["after"]) for row in rows if row["event"] == "started")
    print(f"  {dict(counts)}")
    headers = sum(row["event"] == "header" for row in rows)
    print(f"  {headers} headers, {len(epochs)} epochs, {resumed} resumed amid a trial")
    status = Counter(row["outcome"]["status"] for row in rows if row["event"] == "ended")
    results = [
        check("the table is the undisturbed one's", table(folder) == table(whole)),
        check(f"{planned} trials ended, each once: {dict(status)}", len(ends) == planned and set(ends.values()) == {1}),
        check("every epoch is in the log once", set(epochs.values()) == {1}),
        check("every log begins with the whole rows of the one before", not counts["rows changed"]),
        check("no torn row is left", not torn),
    ]
    return all(results)


def main() -> None:
    """Run the sweep undisturbed and disturbed, and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="at least; more may come before the sweep ends")
    parser.add_argument("--search", type=int, default=12, help="trials of each of three arms")
    parser.add_argument("--confirm", type=int, default=8, help="seeds of each of three arms")
    parser.add_argument("--pruned", action="store_true")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    import numpy as np

    import regtune.execution.run  # noqa: F401  # before the forks, so that no driver imports it itself

    threads = [(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()]
    if len([name for name in threads if name != "jemalloc_bg_thd"]) != 1:  # Ray's, made for forks
        raise RuntimeError(f"expected a process of one thread, which alone may be forked, given {threads}")
    text = SWEEP.replace("SEARCH", str(given.search)).replace("CONFIRM", str(given.confirm))
    with tempfile.TemporaryDirectory(prefix="regtune-kills-") as name:
        folders = {kind: Path(name) / kind for kind in ("whole", "killed")}
        for folder in folders.values():
            folder.mkdir()
            (folder / "kills.toml").write_text(text.replace("PRUNER", "asha" if given.pruned else "none"))
        logs = {kind: folder / "results" / "kills" / "log.jsonl" for kind, folder in folders.items()}
        begun = time.monotonic()
        if killed(driver(folders["whole"], "", 0, 0.0), logs["whole"], 0, 0.0):
            raise RuntimeError("the undisturbed driver was killed")
        middle, draws = time.monotonic(), np.random.default_rng(given.seed)
        counts = disturbed(folders["killed"], logs["killed"], given.kills, draws, ray=given.ray)
        print(f"undisturbed {middle - begun:.1f} s, disturbed {time.monotonic() - middle:.1f} s")
        fine = compared(logs["killed"], logs["whole"], counts)
        fine &= check(f"at least {given.kills} kills", counts["kills"] >= given.kills)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
