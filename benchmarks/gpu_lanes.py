"""On a GPU: what a member of a lane costs by its width, beside a trial alone and several processes. Needs no ray.

    python benchmarks/gpu_lanes.py [--device cuda] [--widths 1 4 16 64 256] [--processes 4] [--seconds 2]

For five networks, label smoothing and L2 in every member: seconds that an epoch of 50,000 examples takes per member
(training steps only, from a few timed ones) in lanes of each width, then for trials alone in so many processes on
the one device. `times` is how many times less a member takes at the best width than alone; the share of peak is of
the operations per second that a product of two matrices of 4,096 x 4,096 reaches. A width that does not fit into
memory, or would take a step of more than 6 s, is said and left out. It is made for 8 minutes on an H100, where it has
not run; on a CPU use smaller widths.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.multiprocessing import get_context
from torch.utils.flop_counter import FlopCounterMode

from regtune import Trial
from regtune.data import Examples, Splits
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

EPOCH = 50_000  # examples, as of CIFAR-10
LONGEST = 6.0  # seconds of a step
SIDE = 4096


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network on pictures of a shape."""

    name: str
    network: dict[str, Any]
    shape: tuple[int, int, int]
    batch: int = 128


CASES = (
    Case(name="mlp 784-512-512-10", network={"name": "mlp", "widths": [512, 512]}, shape=(1, 28, 28)),
    Case(name="srivastava2014", network={"name": "srivastava2014"}, shape=(1, 28, 28)),
    Case(name="ResNet-20", network={"name": "resnet", "depth": 20}, shape=(3, 32, 32)),
    Case(name="resnet9", network={"name": "resnet9"}, shape=(3, 32, 32)),
    Case(name="WRN-16-4", network={"name": "wide_resnet", "depth": 16, "width": 4}, shape=(3, 32, 32)),
)


def lane_of(case: Case, width: int, device: str) -> Lane:
    """Return a lane whose members differ in seed, learning rate and strengths."""
    generator = torch.Generator().manual_seed(0)
    count = case.batch * 4
    images = torch.randint(0, 256, (count, *case.shape), generator=generator, dtype=torch.uint8)
    examples = Examples.of(images=images, labels=torch.randint(0, 10, (count,), generator=generator))
    trials = [
        Trial(
            data={"name": "synthetic"},
            network=case.network,
            optimizer={"name": "sgd", "learning_rate": 0.01 + 0.0001 * place, "momentum": 0.9, "nesterov": False},
            recipe=(
                {"name": "label_smoothing", "eps": 0.1 + 0.0005 * place},
                {"name": "l2", "strength": 1e-4 + 1e-6 * place},
            ),
            epochs=1000,
            batch=case.batch,
            seed=place,
            device=device,
        )
        for place in range(width)
    ]
    prepare_process(trials[0].threads)
    return Lane(trials, data=Splits(train=examples, validation=examples, test=None, classes=10))


def seconds_of_step(lane: Lane, seconds: float) -> float:
    """Return the seconds of a step, the mean of as many as fit into that time; raises OutOfMemoryError."""
    batch, device = lane.members[0].trial.batch, lane.train_step.device
    places = torch.arange(batch, device=device)
    index = places.expand(lane.width, -1) if lane.train_step.lifted else places
    update = lane.updates([1] * lane.width)[0]

    def steps(count: int) -> float:
        wait(device)
        begun = time.perf_counter()
        for _ in range(count):
            lane.state = lane.step(lane.state, update, index).state
        wait(device)
        return (time.perf_counter() - begun) / count

    first = steps(2)  # kernels are chosen and memory is taken in the first
    return steps(max(1, int(seconds / first))) if first <= LONGEST else first


def wait(device: torch.device) -> None:
    """Wait until a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def one_process(case: Case, device: str, seconds: float, pipe: Connection) -> None:
    """Train one trial at the same time as others do, and send the seconds of a step."""
    lane = lane_of(case, 1, device)
    seconds_of_step(lane, 0.1)
    pipe.send("ready")
    pipe.recv()
    pipe.send(seconds_of_step(lane, seconds))


def processes(case: Case, device: str, count: int, seconds: float) -> float:
    """Return the seconds of a step per trial where several processes share the device."""
    context = get_context("spawn")
    pipes, workers = [], []
    for _ in range(count):
        ours, theirs = context.Pipe()
        workers.append(context.Process(target=one_process, args=(case, device, seconds, theirs)))
        pipes.append(ours)
        workers[-1].start()
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    found = [float(pipe.recv()) for pipe in pipes]
    for worker in workers:
        worker.join()
    return sum(found) / len(found) / count


def operations(case: Case, device: str) -> int:
    """Return the floating-point operations of a training step of one trial."""
    lane = lane_of(case, 1, device)
    with FlopCounterMode(display=False) as counter:
        lane.step(lane.state, lane.updates([1])[0], torch.arange(case.batch, device=lane.train_step.device))
    return int(counter.get_total_flops())


def peak(device: str) -> float:
    """Return the operations per second of a large product of matrices."""
    a = torch.randn(SIDE, SIDE, device=device)
    found = []
    for _ in range(4):
        wait(a.device)
        begun = time.perf_counter()
        torch.mm(a, a)
        wait(a.device)
        found.append(time.perf_counter() - begun)
    return 2 * SIDE**3 / min(found)


def measured(case: Case, widths: Sequence[int], device: str, seconds: float) -> dict[int, float | str]:
    """Return the seconds of a step per member by width, or why there are none."""
    found: dict[int, float | str] = {}
    longest = 0.0
    for width in widths:
        if longest * width > LONGEST:
            found[width] = "too slow"
            continue
        try:
            step = seconds_of_step(lane_of(case, width, device), seconds)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            found[width] = "no memory"
        else:
            longest, found[width] = step / width, step / width
    return found


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    begun = time.perf_counter()
    machine = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    top = peak(given.device)
    print(f"{machine}, torch {torch.__version__}, a matrix product reaches {top / 1e12:.2f} T operations a second\n")
    headings = [f"K = {width}" for width in given.widths]
    print(f"| s | {' | '.join(headings)} | {given.processes} processes | times | share of peak |")
    print(f"|---|{'---:|' * (len(headings) + 3)}")
    for case in CASES:
        found = measured(case, given.widths, given.device, given.seconds)
        steps = EPOCH / case.batch
        cells = [value if isinstance(value, str) else f"{value * steps:.3f}" for value in found.values()]
        shared = processes(case, given.device, given.processes, given.seconds)
        numbers = [value for value in found.values() if isinstance(value, float)]
        gain, share = numbers[0] / min(numbers), operations(case, given.device) / min(numbers) / top
        row = [*cells, f"{shared * steps:.3f}", f"{gain:.2f}", f"{100 * share:.1f} %"]
        print(f"| {case.name} | {' | '.join(row)} |", flush=True)
    print(f"\nin {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
