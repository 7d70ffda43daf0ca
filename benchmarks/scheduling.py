"""The scheduling must not cost more than the training: regtune beside a plain Ray Tune script.

`plain` is `plain_tune.py`. `regtune` is a sweep with one arm: same digits, network, batch, epochs, search space and
rungs, random sampler, no confirm. Each run is a fresh process that starts and ends its own Ray; its CPU time is that
of all its processes, Ray's included. A slope is the difference between the two counts of trials, per trial. Medians
over the repeats. `other CPU s` is what else the machine did meanwhile: Ray's workers run at nice 15, so the wall
times mean something only where it is small against the CPU time. Hence on an idle machine:

    .venv/bin/python benchmarks/scheduling.py --trials 40 120 --repeats 1
"""

from __future__ import annotations

import argparse
import itertools
import secrets
import sys
import tempfile
from pathlib import Path

import numpy as np
from plain_tune import plain
from process_tree import run_measured

from regtune.storage.environment import describe

SWEEP = """
data = { name = "digits", train = 200, validation = 397 }
network = { name = "mlp", widths = [64, 64, 64], residual = true }
optimizer = { name = "sgd", momentum = 0.9, learning_rate = { low = 0.001, high = 0.2, log = true } }
training = { epochs = 30, batch = 20 }
arms = { dropout = { dropout = { p_hidden = { low = 0.1, high = 0.7 } } } }
search = { trials = COUNT, sampler = "random", pruner = "asha", grace = 0.2, factor = 3, population = 1 }
select = { seeds = 0 }
confirm = { seeds = 0 }
"""
COLUMNS = ("wall s", "CPU s", "other CPU s", "processes", "epochs")


def regtune(count: int, folder: Path) -> None:
    """Run the sweep."""
    from regtune.execution.run import run
    from regtune.sweep.sweep import Sweep

    (folder / "sweep.toml").write_text(SWEEP.replace("COUNT", str(count)))
    run(Sweep.read(folder / "sweep.toml"), folder)


def measure(system: str, count: int) -> tuple[float, ...]:
    """Run one system in a fresh process; return the values of COLUMNS."""
    # Without an auth mode Ray writes a token into the home directory, without the last it reports usage home.
    ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as name:
        command = [sys.executable, __file__, "--one", system, "--count", str(count), "--folder", name]
        cost = run_measured(command, ray, Path(name) / "output.txt")
        return (*cost, epochs(system, count, Path(name)))


def epochs(system: str, count: int, folder: Path) -> int:
    """Return how many epochs a run trained; raises RuntimeError unless all of its trials ended well."""
    if system == "plain":
        whole = [path for path in folder.glob("plain/*/result.json") if not (path.parent / "error.txt").exists()]
        lengths, why = [len(path.read_text().splitlines()) for path in whole], ["see error.txt"]
    else:
        from regtune.results.loader import load

        trials = load(folder / "sweep").trials
        good = trials["status"].isin(["ok", "pruned"])
        lengths, why = trials["epochs"][good].to_list(), trials["message"][~good].to_list()
    if len(lengths) != count:
        raise RuntimeError(f"{system}: expected {count} trials, {len(lengths)} ended well {why}")
    return sum(lengths)


def main() -> None:
    """Measure all runs in turn and print the table; with --one, be one of these runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs=2, default=[40, 120], metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=1)
    for name in ("--one", "--count", "--folder"):  # how the script starts itself
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        {"plain": plain, "regtune": regtune}[given.one](int(given.count), Path(given.folder))
        return
    few, many = given.trials
    costs: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    # The systems take turns, so that a machine that becomes slower does so for both.
    for _, count, system in itertools.product(range(given.repeats), (few, many), ("plain", "regtune")):
        costs.setdefault((system, f"{count} trials"), []).append(measure(system, count))
    rows = {key: np.median(values, axis=0) for key, values in costs.items()}
    for system in ("plain", "regtune"):
        rows[system, "slope"] = (rows[system, f"{many} trials"] - rows[system, f"{few} trials"]) / (many - few)
    print(f"n = {given.repeats} runs a cell; {describe()['packages']} {describe()['machine']}\n")
    print(f"| | system | {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * len(COLUMNS)}")
    for kind in (f"{few} trials", f"{many} trials", "slope"):
        rows["regtune / plain", kind] = rows["regtune", kind] / rows["plain", kind]
        for system in ("plain", "regtune", "regtune / plain"):
            print(f"| {kind} | {system} | {' | '.join(f'{value:.2f}' for value in rows[system, kind])} |")


if __name__ == "__main__":
    main()
