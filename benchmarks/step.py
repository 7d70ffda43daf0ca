"""The training step of regtune against an ordinary `nn.Module` loop with `torch.optim` on the same batches.

    python benchmarks/step.py [--threads 1] [--rounds 9] [--only ResNet-18]

Both take their turn in one process; CPU-seconds (on a GPU: seconds, waiting for it) per step, medians over
rounds, and the median of the ratio within a round. The aim is a ratio of at most 1.05.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import plain
import torch
from torch import nn

from regtune import Trial
from regtune.data import Examples, Splits
from regtune.training.lane import Lane
from regtune.training.process import prepare_process
from regtune.training.train_step import Update


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, as regtune and as PyTorch have it."""

    name: str
    network: dict[str, Any]
    net: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    batch: int


def cases() -> list[Case]:
    """Return the networks that are compared."""
    widths = (1024, 1024, 2048)
    wide = {"name": "mlp", "widths": list(widths)}
    small = {"name": "mlp", "widths": [128, 128]}
    resnet = {"name": "resnet", "depth": 20}
    own = {"name": "module", "path": "plain:resnet18"}
    return [
        Case(
            name="mlp 784-128-128-10",
            network=small,
            net=lambda: plain.mlp((128, 128), 784),
            shape=(1, 28, 28),
            batch=128,
        ),
        Case(name="srivastava2014", network=wide, net=lambda: plain.mlp(widths, 784), shape=(1, 28, 28), batch=100),
        Case(name="ResNet-20, batch 128", network=resnet, net=plain.ResNet20, shape=(3, 32, 32), batch=128),
        Case(
            name="torchvision's ResNet-18 as a module, batch 64",
            network=own,
            net=plain.resnet18,
            shape=(3, 32, 32),
            batch=64,
        ),
    ]


def measure(case: Case, *, device: str, threads: int, rounds: int, steps: int) -> tuple[float, float, float]:
    """Return seconds a step of ours and of the plain loop, and the median ratio."""
    prepare_process(threads)
    generator = torch.Generator().manual_seed(0)
    count = case.batch * 4
    images = torch.rand((count, *case.shape), generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    examples = Examples.of(images=images, labels=labels)
    trial = Trial(
        data={"name": "synthetic"},
        network=case.network,
        optimizer={"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False},
        epochs=1000,
        batch=case.batch,
        seed=0,
        threads=threads,
        device=device,
    )
    lane = Lane((trial,), data=Splits(train=examples, validation=examples, test=None, classes=10))
    net = case.net().to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    one_hot = torch.eye(10, device=device)
    pieces = zip(torch.split(images, case.batch), torch.split(labels, case.batch), strict=True)
    batches = [(x.to(device), y.to(device)) for x, y in pieces]
    chosen = [batches[number % len(batches)] for number in range(steps)]

    def ours() -> None:
        for number, (x, y) in enumerate(chosen):
            update = Update(step=number, progress=0.1)
            lane.state = lane.train_step.step(lane.state, lane.knobs, 0, update, x, one_hot[y]).state

    def theirs() -> None:
        plain.train(net, optimizer, chosen)

    ours()
    theirs()
    pairs = [(timed(ours, device) / steps, timed(theirs, device) / steps) for _ in range(rounds)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def timed(run: Callable[[], None], device: str) -> float:
    """Return the CPU-seconds of a run, or on a GPU the seconds until it is done."""
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", default="", metavar="TEXT", help="networks with that in their name")
    arguments = parser.parse_args()
    settings = f"threads {arguments.threads}, {arguments.rounds} rounds of {arguments.steps} steps"
    print(f"{settings}, torch {torch.__version__}\n")
    print("| network | regtune, ms | plain loop, ms | ratio |")
    print("|---|---:|---:|---:|")
    for case in (case for case in cases() if arguments.only in case.name):
        ours, theirs, ratio = measure(
            case, device="cpu", threads=arguments.threads, rounds=arguments.rounds, steps=arguments.steps
        )
        print(f"| {case.name} | {ours * 1e3:.2f} | {theirs * 1e3:.2f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
