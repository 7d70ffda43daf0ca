"""What a trial costs alone and in lanes: CPU per member and epoch by the width of the lane, and of a whole sweep.

    python benchmarks/lane_widths.py [sweeps/quickstart.toml] [--widths 1 4 16 64] [--arms ...] [--compiled] [--sweep N]

prints for every arm the milliseconds of CPU time that a member takes for an epoch, the shortest of a few epochs, beside
a bare PyTorch loop of the network on the same data (no regularizer, no evaluation); with --compiled of compiled lanes
and the seconds until all is compiled. With --sweep it runs the sweep in
this process, N times with lanes of width 1 and N times of the width that is measured, by turns, and prints the CPU
seconds of both. One thread; compare within one run.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from optuna.distributions import CategoricalDistribution

from regtune.core.records import Trial
from regtune.data import Splits, pixels
from regtune.execution.run import run
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data, start_network
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

EPOCHS = 6


def trials(sweep: Sweep, arm: str, count: int) -> list[Trial]:
    """Return trials of an arm whose knobs lie evenly in their ranges."""
    made, spaces = [], sweep.arm(arm).space
    for number in range(count):
        share = (number + 0.5) / count
        values = {path: _at(space, share) for path, space in spaces.items()}
        made.append(sweep.arm(arm).trial(values, seed=number, phase="search"))
    return made


def _at(space: Any, share: float) -> Any:
    """Return what lies at a share of a range, of choices the last."""
    if isinstance(space, CategoricalDistribution):
        return space.choices[-1]
    return type(space.low)(space.low + share * (space.high - space.low))


def shortest(epoch: Callable[[], object]) -> float:
    """Return the CPU seconds of an epoch, the shortest of a few."""
    found = []
    for _ in range(EPOCHS):
        begun = time.process_time()
        epoch()
        found.append(time.process_time() - begun)
    return min(found)


def bare(trial: Trial, data: Splits) -> float:
    """Return the CPU seconds of an epoch of the network in a plain loop with torch's SGD."""
    net = start_network(trial, data)
    pictures, labels = pixels(data.train.images, torch.float32), data.train.labels
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    def epoch() -> None:
        order = torch.randperm(len(labels))
        for start in range(0, len(labels) - trial.batch + 1, trial.batch):
            places = order[start : start + trial.batch]
            optimizer.zero_grad()
            logits = net(pictures[places], lambda signal, slot: signal)
            loss = torch.nn.functional.cross_entropy(logits, labels[places])
            torch.autograd.backward(loss)
            optimizer.step()

    epoch()
    return shortest(epoch)


def seconds_of(sweep: Sweep, width: int | Literal["auto"]) -> float:
    """Return the CPU seconds of a whole sweep in this process."""
    with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as folder:
        begun = time.process_time()
        run(sweep.in_lanes(width), Path(folder), in_process=True)
        return time.process_time() - begun


def main() -> None:
    """Print what members cost, and a sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parents[1] / "sweeps" / "quickstart.toml")
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--sweep", type=int, default=0, metavar="N")
    given = parser.parse_args()
    sweep = Sweep.read(given.file)
    prepare_process(1)
    first = trials(sweep, sweep.baseline, 1)[0]
    data = load_data(first)
    print(f"bare loop: {1000 * bare(first, data):.1f} ms of CPU an epoch")
    print("| arm | " + " | ".join(f"K = {width}" for width in given.widths) + " |")
    print("|---|" + "---|" * len(given.widths))
    for arm in given.arms or [arm.name for arm in sweep.arms]:
        found = []
        for width in given.widths:
            members = [dataclasses.replace(trial, compiled=given.compiled) for trial in trials(sweep, arm, width)]
            begun = time.perf_counter()
            lane = Lane(members, data=data)
            next(lane), next(lane)
            ready = f" ({time.perf_counter() - begun:.0f} s)" if given.compiled else ""
            found.append(f"{1000 * shortest(lambda lane=lane: next(lane)) / width:.2f}{ready}")  # type: ignore[misc]  # bound now
        print(f"| {arm} | " + " | ".join(found) + " |", flush=True)
    for _ in range(given.sweep):
        alone, lanes = seconds_of(sweep, 1), seconds_of(sweep, "auto")
        print(
            f"whole sweep: {alone:.1f} CPU s one by one, {lanes:.1f} in lanes ({alone / lanes:.3g} times less)",
            flush=True,
        )


if __name__ == "__main__":
    main()
