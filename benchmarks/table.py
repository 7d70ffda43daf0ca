"""Table and report of a large log must come in seconds: each in a fresh process, its time and its memory.

The log is made up: arms in search, then their confirmed seeds, every trial with all its epochs, rows as the driver
writes them with chained checksums; a confirmed one says which of 10,000 test examples were right. What is timed are
`regtune table` and `regtune report` as a user types them. The bounds for 10,000 trials of 100 epochs are 10 s and 2 GB
for the table, 30 s for the report. Other load is told beside it:

    .venv/bin/python benchmarks/table.py --trials 10000 --epochs 100 --repeats 3
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regtune.core.bitset import pack_bits
from regtune.core.records import Epoch, Json, Outcome, Trial
from regtune.storage.environment import describe
from regtune.storage.log import sealed

ARMS = 8
CONFIRMED = 50  # seeds per arm
EXAMPLES = 10_000  # of the test split
TRIAL = Trial(
    data={"name": "digits", "train": 1000, "validation": 397},
    network={"name": "mlp", "widths": [64, 64, 64], "residual": True},
    optimizer={"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
    epochs=100,
    batch=50,
    seed=0,
    recipe=({"name": "dropout", "p_hidden": 0.3, "p_input": 0.1},),
)


def rows(trials: int, epochs: int) -> Iterator[Json]:
    """Yield the rows of a sweep of so many trials, all of which train to the end."""
    draws = random.Random(0)  # noqa: S311 - made-up numbers, no secrets
    confirmed = min(CONFIRMED, trials // ARMS // 2)
    searched = trials // ARMS - confirmed
    arms = {f"arm_{k}": {"template": TRIAL.plain(), "space": {}, "trials": searched} for k in range(ARMS)}
    training = {"epochs": epochs, "batch": TRIAL.batch}
    search = {"pruner": "asha", "sampler": "random", "grace": 0.2, "factor": 3.0}
    confirm = {"seeds": confirmed, "retrain": "none", "splits": "one"}
    sweep = {"name": "large", "seed": 0, "arms": arms, "training": training, "search": search, "confirm": confirm}
    cluster = {"gpus_per_trial": 0.0, "cpus_per_trial": 1}
    yield {"event": "header", "time": 0.0, **describe(), "sweep": sweep | {"cluster": cluster}}
    for phase, count in (("search", searched), ("confirm", confirmed)):
        for number in range(count):
            for arm in arms:
                cell = {"time": round(1.8e9 + draws.random() * 1e6, 3), "cell": [arm, phase, number]}
                asked = {"id": f"{number:012x}", "params": {"dropout.p_hidden": 0.3}, "trial": TRIAL.plain()}
                yield {"event": "asked", **cell, **asked}
                where = {"host": "node", "processor": "some processor", "torch": "2.11.0"}
                yield {"event": "started", **cell, "where": where, "after": 0}
                for epoch in _epochs(draws, epochs, phase):
                    yield {"event": "epoch", **cell, "epoch": epoch.plain()}
                    if epoch.outcome:
                        yield {"event": "ended", **cell, "outcome": epoch.outcome.plain()}


def _epochs(draws: random.Random, count: int, phase: str) -> Iterator[Epoch]:
    for number in range(1, count + 1):
        score, outcome = draws.random(), None
        if number == count:
            splits = ("train", "val", "test") if phase == "confirm" else ("train", "val")
            metrics: dict[str, float | None] = {
                f"{split}_{name}": draws.random() for split in splits for name in ("accuracy", "loss")
            }
            outcome = Outcome(status="ok", kept=number, metrics=metrics)
            if phase == "confirm":
                right = np.frombuffer(draws.randbytes(EXAMPLES), np.uint8) < 200
                outcome = dataclasses.replace(outcome, test_right=pack_bits(right))
        yield Epoch(
            number=number,
            objective=draws.random(),
            train_accuracy=draws.random(),
            train_loss=draws.random(),
            val_accuracy=score,
            val_loss=draws.random(),
            learning_rate=draws.random(),
            kept=number,
            seconds=draws.random(),
            data_share=draws.random(),
            outcome=outcome,
        )


def write(path: Path, trials: int, epochs: int) -> int:
    """Write such a log; return its size in bytes."""
    seal = 0
    with path.open("wb") as file:
        for row in rows(trials, epochs):
            line, seal = sealed(row, seal)
            file.write(line)
    return path.stat().st_size


def measured(command: str, path: Path) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak memory in GB of a command, in a process of its own."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "regtune", command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(printed.decode())
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Write the log, time the command, print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--log", type=Path, help="where the log is kept; a temporary folder if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as name:
        path = given.log or Path(name) / "log.jsonl"
        size = path.stat().st_size if path.exists() else write(path, given.trials, given.epochs)
        costs = {command: [measured(command, path) for _ in range(given.repeats)] for command in ("table", "report")}
    print(f"{given.trials} trials of {given.epochs} epochs, {size / 1e6:.0f} MB of log, n = {given.repeats}, medians")
    print(f"{describe()['packages']} {describe()['machine']}, load {os.getloadavg()[0]:.1f}")
    print("| command | wall s | CPU s | peak GB |\n|---|---:|---:|---:|")
    for command, rows in costs.items():
        wall, cpu, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {command} | {wall:.2f} | {cpu:.2f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
