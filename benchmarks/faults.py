"""Faults under load: a sweep on a cluster of three nodes whose workers and nodes are killed while it runs.

    .venv/bin/python benchmarks/faults.py --workers 20 --nodes 3

The nodes are raylets of their own on this machine (`ray.cluster_utils.Cluster`). A worker that trains is killed with
SIGKILL every few seconds; now and then a whole node is, and another takes its place. It must come out that every trial
ended ok or pruned, none lost, and that nothing was trained twice: one row for each epoch of a trial.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

SWEEP = """
data = { name = "digits", train = 200, validation = 397 }
network = { name = "mlp", widths = [256, 256] }
optimizer = { name = "sgd", momentum = 0.9, learning_rate = { low = 0.001, high = 0.2, log = true } }
training = { epochs = 150, batch = 20 }
arms = { baseline = {}, dropout = { dropout = {} } }
search = { trials = COUNT, sampler = "random", pruner = "asha" }
select = { seeds = 0 }
confirm = { seeds = 6, aa = false }
cluster = { retries = 20, checkpoint_seconds = 0.5 }
"""


def training_workers() -> list[int]:
    """Return the processes of this user that Ray has named after a trial."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if words.startswith(b"ray::") and b"ImplicitFunc" in words:
            found.append(int(folder.name))
    return found


def main() -> None:
    """Run the sweep, kill, and print what is in its log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0, help="between two faults")
    given = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    draws, done = np.random.default_rng(0), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="regtune-faults-") as name:
        folder = Path(name)
        (folder / "faults.toml").write_text(SWEEP.replace("COUNT", str(given.trials)))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        words = [sys.executable, "-m", "regtune", "run", "faults.toml", "--address", cluster.address]
        begun = time.monotonic()
        try:
            with (folder / "out.txt").open("w") as out:
                driver = subprocess.Popen(words, cwd=folder, stdout=out, stderr=out)
                faults = ["worker"] * given.workers + ["node"] * given.nodes
                draws.shuffle(faults)
                while driver.poll() is None:
                    time.sleep(given.seconds)
                    if not faults or not (running := training_workers()):
                        continue
                    kind = faults.pop()
                    if kind == "worker":
                        os.kill(int(draws.choice(running)), signal.SIGKILL)
                    else:
                        cluster.remove_node(nodes.pop(int(draws.integers(2))), allow_graceful=False)
                        nodes.append(cluster.add_node(num_cpus=1))
                    done[kind] += 1
            print((folder / "out.txt").read_text()[-1500:])
            report(folder / "results" / "faults", 2 * given.trials + 12, done, time.monotonic() - begun)
        finally:
            cluster.shutdown()


def report(results: Path, planned: int, done: Counter[str], seconds: float) -> None:
    """Print what the log says."""
    from regtune.storage.log import read_log

    rows, _ = read_log(results / "log.jsonl")
    epochs = Counter((*row["cell"], row["epoch"]["number"]) for row in rows if row["event"] == "epoch")
    ends = Counter(tuple(row["cell"]) for row in rows if row["event"] == "ended")
    status = Counter(row["outcome"]["status"] for row in rows if row["event"] == "ended")
    resumed = [row["after"] for row in rows if row["event"] == "started" and row["after"]]
    faults = Counter(row["message"].split("(")[0][:60] for row in rows if row["event"] == "fault")
    whole = set(status) <= {"ok", "pruned"} and set(ends.values()) == set(epochs.values()) == {1}
    print(f"{seconds:.0f} s; killed: {dict(done)}; faults in the log: {sum(faults.values())} {dict(faults)}")
    print(f"ended: {dict(status)}, each once: {set(ends.values()) == {1}}")
    print(f"{len(epochs)} epochs, each once: {set(epochs.values()) == {1}}; {len(resumed)} attempts resumed: {resumed}")
    if not whole or len(ends) != planned:
        raise SystemExit(f"expected {planned} trials that ended ok or pruned, each epoch once")


if __name__ == "__main__":
    main()
