"""How long the sweep files take on 2 cores, from the CPU time of a step and of an evaluation: for docs/sweeps.md.

    python benchmarks/step_times.py sweeps/*.toml [--steps 5] [--evaluated 1000]

One thread, one trial of the first arm, made-up pictures of the size of the file's data, which need not be there.
Searched knobs are in the middle of their ranges. The step is the shortest after one to warm up, with augmentation,
regularizers, gradients and the update; the evaluation is that after an epoch, of the validation split and of up to
1,000 training examples, timed on a part of them. The last column takes all epochs of the plan, none of which a pruner
saves, one trial at a time on each core: lanes take less, the start of workers and the test split come on top.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch
from lane_widths import trials

from regtune.core.records import Trial
from regtune.data import Examples, Splits
from regtune.sweep.sweep import Sweep
from regtune.training.evaluation import measure
from regtune.training.lane import CLEAN_SUBSET, Lane
from regtune.training.process import prepare_process

PICTURES = {  # shape, classes, training pictures with validation
    "cifar10": ((3, 32, 32), 10, 50_000),
    "cifar100": ((3, 32, 32), 100, 50_000),
    "image_folder": ((3, 32, 32), 10, 50_000),  # CIFAR-10 as files
    "mnist": ((1, 28, 28), 10, 60_000),
    "fashion_mnist": ((1, 28, 28), 10, 60_000),
    "digits": ((1, 8, 8), 10, 1_797),
    "sklearn": ((30, 1, 1), 2, 455),  # breast cancer, four fifths of it
}


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def measured(trial: Trial, *, steps: int, evaluated: int) -> tuple[float, float]:
    """Return the CPU seconds of the shortest step, and of the evaluation of one picture."""
    shape, classes, _ = PICTURES[trial.data["name"]]
    generator, count = torch.Generator().manual_seed(0), max(trial.batch, evaluated)
    images = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    made_up = Examples.of(images=images, labels=torch.arange(count) % classes)
    groups = tuple(k // 5 for k in range(100)) if trial.data["name"] == "cifar100" else ()
    splits = Splits(train=made_up, validation=made_up, test=None, classes=classes, superclasses=groups)
    lane = Lane((trial,), data=splits)
    update, places = lane.updates([1])[0], torch.arange(trial.batch)

    def step() -> None:
        lane.state = lane.step(lane.state, update, places).state

    step()
    shortest = min(cpu_seconds(step) for _ in range(steps))
    part = made_up.first(evaluated)
    passes = [cpu_seconds(lambda: measure(lane.train_step, *lane.kept[0], lane.knobs, part)) for _ in range(2)]
    return shortest, min(passes) / evaluated


def epochs_of(sweep: Sweep) -> int:
    """Return how many epochs all trials of a sweep have at most."""
    counts = [(phase, one.most_trials(phase, arm)) for one, arm in sweep.with_copy for phase in sweep.phases]
    return sweep.search.repeats * sum(count * sweep.most_epochs(phase) for phase, count in counts)


def main() -> None:
    """Print a row of a Markdown table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--evaluated", type=int, default=1000, metavar="PICTURES")
    given = parser.parse_args()
    prepare_process(1)
    print(f"torch {torch.__version__}\n")
    print("| file | ms a step | steps an epoch | ms an evaluation | epochs | hours on 2 cores |")
    print("|---|---:|---:|---:|---:|---:|")
    for file in given.files:
        sweep = Sweep.read(file)
        trial = dataclasses.replace(trials(sweep, sweep.baseline, 1)[0], device="cpu")
        step, picture = measured(trial, steps=given.steps, evaluated=given.evaluated)
        train, validation = trial.data["train"], trial.data["validation"]
        train = PICTURES[trial.data["name"]][2] - validation if train == "all" else train
        per_epoch, epochs = train // trial.batch, epochs_of(sweep)
        evaluation = picture * (validation + min(train, CLEAN_SUBSET))
        hours = epochs * (per_epoch * step + evaluation) / 3600 / 2
        numbers = f"{_short(1000 * step)} | {per_epoch:,} | {_short(1000 * evaluation)} | {epochs:,} | {_short(hours)}"
        print(f"| `{file.stem}` | {numbers} |", flush=True)


def _short(number: float) -> str:
    """Return a number with two digits that count, without an exponent."""
    return f"{float(f'{number:.2g}'):,.10g}"


if __name__ == "__main__":
    main()
