"""A search by regtune, in lanes and one by one, beside the loops that people write: cost per trial and member-epoch.

`ray` is a plain Ray Tune script (`plain_tune.py`), `optuna` Optuna's loop in one process with its own pruner, `bare`
that training without a scheduler, none of it pruned (both `plain_optuna.py`). `regtune` is a sweep with one arm in
lanes on Ray, `regtune, in process` the same without Ray, `regtune, compiled` that with compiled lanes (the first run on
a machine compiles for a minute, which counts), `regtune, width 1` on Ray one by one: the same digits,
network, batch, epochs, search space and rungs, random sampler, no confirm. Each run is a fresh process; its CPU time
is that of all its processes, Ray's included, and from the start of Python to its end. A slope is the difference
between the most and the fewest trials, per trial or per epoch trained. Medians over the repeats. `other CPU s` is what
else the machine did meanwhile; wall times mean something only where it is small:

    .venv/bin/python benchmarks/lanes.py --trials 40 120 480 --repeats 1
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from plain_optuna import bare, tuned
from plain_tune import plain
from process_tree import run_measured

from regtune.storage.environment import describe

SWEEP = """
data = { name = "digits", train = 200, validation = 397 }
network = { name = "mlp", widths = [64, 64, 64], residual = true }
optimizer = { name = "sgd", momentum = 0.9, learning_rate = { low = 0.001, high = 0.2, log = true } }
training = { epochs = 30, batch = 20, compiled = COMPILED }
arms = { dropout = { dropout = { p_hidden = { low = 0.1, high = 0.7 } } } }
search = { trials = COUNT, sampler = "random", pruner = "asha", grace = 0.2, factor = 3, population = 1 }
select = { seeds = 0 }
confirm = { seeds = 0 }
"""
COLUMNS = ("wall s", "CPU s", "other CPU s", "processes", "epochs")
Run = Callable[[int, Path], None]


def regtune(
    count: int,
    folder: Path,
    *,
    in_process: bool = False,
    width: Literal["auto", 1] = "auto",
    compiled: bool = False,
) -> None:
    """Run the sweep."""
    from regtune.execution.run import run
    from regtune.sweep.sweep import Sweep

    text = SWEEP.replace("COUNT", str(count)).replace("COMPILED", "true" if compiled else "false")
    (folder / "sweep.toml").write_text(text)
    run(Sweep.read(folder / "sweep.toml").in_lanes(width), folder, in_process=in_process)


SYSTEMS: dict[str, Run] = {
    "regtune": regtune,
    "regtune, in process": functools.partial(regtune, in_process=True),
    "regtune, compiled": functools.partial(regtune, in_process=True, compiled=True),
    "regtune, width 1": functools.partial(regtune, width=1),
    "ray": plain,
    "optuna": tuned,
    "bare": bare,
}


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
    lengths, why = list[int](), list[str]()
    if system == "ray":
        whole = [path for path in folder.glob("plain/*/result.json") if not (path.parent / "error.txt").exists()]
        lengths, why = [len(path.read_text().splitlines()) for path in whole], ["see error.txt"]
    elif system in ("optuna", "bare"):
        lengths = json.loads((folder / "epochs.json").read_text())
    else:
        from regtune.results.loader import load

        trials = load(folder / "sweep").trials
        good = trials["status"].isin(["ok", "pruned"])
        lengths, why = trials["epochs"][good].to_list(), trials["message"][~good].to_list()
    if len(lengths) != count:
        raise RuntimeError(f"{system}: expected {count} trials, {len(lengths)} ended well {why}")
    return sum(lengths)


def main() -> None:
    """Measure all runs in turn and print the tables; with --one, be one of these runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 120, 480])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    for name in ("--one", "--count", "--folder"):  # how the script starts itself
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        SYSTEMS[given.one](int(given.count), Path(given.folder))
        return
    costs: dict[tuple[int, str], list[tuple[float, ...]]] = {}
    # The systems take turns, so that a machine that becomes slower does so for all.
    for _, count, system in itertools.product(range(given.repeats), given.trials, given.systems):
        costs.setdefault((count, system), []).append(found := measure(system, count))
        print(f"# {system}, {count} trials: {found}", file=sys.stderr, flush=True)
    rows = {key: np.median(values, axis=0).tolist() for key, values in costs.items()}
    print(f"n = {given.repeats} runs a cell; {describe()['packages']} {describe()['machine']}\n")
    print(f"| trials | system | {' | '.join(COLUMNS)} | wall ms / epoch | CPU ms / epoch |")
    print(f"|---:|---|{'---:|' * (len(COLUMNS) + 2)}")
    for (count, system), row in rows.items():
        print(f"| {count} | {system} | {' | '.join(f'{value:.1f}' for value in row)} | {per_epoch(row)} |")
    few, many = min(given.trials), max(given.trials)
    if few < many:
        print(
            "\n| slope | wall s / trial | CPU s / trial | wall ms / epoch | CPU ms / epoch |\n|---|---:|---:|---:|---:|"
        )
        for system in given.systems:
            more = [b - a for a, b in zip(rows[few, system], rows[many, system], strict=True)]
            print(f"| {system} | {more[0] / (many - few):.3f} | {more[1] / (many - few):.3f} | {per_epoch(more)} |")


def per_epoch(row: Sequence[float]) -> str:
    """Return the milliseconds of wall and of CPU time for an epoch of a trial."""
    return f"{1000 * row[0] / row[-1]:.2f} | {1000 * row[1] / row[-1]:.2f}"


if __name__ == "__main__":
    main()
