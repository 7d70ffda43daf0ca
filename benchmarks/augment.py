"""How fast is batched RandAugment? Ours on 2 threads against torchvision and kornia in 2 processes, in one run.

Pictures are 32 x 32 in colour, batches of 256, N = 2, M = 9. Ours is `RandAugment.augment` in one process, as a trial
alone runs it (skipping), and the dense form of lanes for information. Peers run in worker processes of one thread
each, as in a DataLoader, without its copies: torchvision's v2.RandAugment for each example, on uint8 tensors and on
PIL images, and kornia's RandAugment, which draws operations once for a whole batch; given one example at a time it
draws for each. All start from pictures in memory. Rounds take turns, so that a slow minute of the machine hits
everyone; medians over rounds, also of the ratio within a round. CPU time is of all processes that take part. Takes
about two minutes, and wants a quiet machine: two threads that share their cores with others wait for each other.

    .venv/bin/python benchmarks/augment.py
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from regtune.core.rng import Rng
from regtune.regularizers import RandAugment, Step
from regtune.storage.environment import describe

SIZE, BATCH, OPERATIONS, MAGNITUDE, WORKERS, ROUNDS, SECONDS = 32, 256, 2, 9, 2, 9, 0.8


class Speed(NamedTuple):
    """What one round of one contestant took: pictures, seconds on the wall, CPU seconds."""

    pictures: int
    wall: float
    cpu: float


def some_pictures() -> Tensor:
    """Return uint8 pictures [BATCH, 3, SIZE, SIZE], half noise, half gradients with some noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), generator=generator)
    ramps = torch.linspace(0, 200, SIZE).long() + noise[: BATCH // 2] % 50
    return torch.cat([ramps, noise[BATCH // 2 :]]).byte()


def ours(*, alone: bool) -> Callable[[], int]:
    """Return a function that augments one batch of floats in [0, 1] and says how many pictures that were."""
    x, y, method = some_pictures() / 255, torch.zeros(BATCH, 10), RandAugment(num_ops=OPERATIONS, magnitude=MAGNITUDE)
    number = iter(range(10**9))

    def batch() -> int:
        at = next(number)
        seed, step = (1, at) if alone else (torch.tensor(1), torch.tensor(at))  # tensors: as in a lane, dense
        method.augment(x, y, Step(noise=Rng(seed=seed, step=step), progress=0.0, learning_rate=0.1))
        return BATCH

    return batch


def torchvisions(*, pil: bool) -> Callable[[], int]:
    """Return torchvision's v2.RandAugment on one example at a time."""
    from torchvision.transforms import v2
    from torchvision.transforms.v2.functional import to_pil_image

    policy = v2.RandAugment(num_ops=OPERATIONS, magnitude=MAGNITUDE, num_magnitude_bins=11)
    examples = [to_pil_image(picture) if pil else picture for picture in some_pictures()]

    def batch() -> int:
        for example in examples:
            policy(example)
        return BATCH

    return batch


def kornias(*, each: bool) -> Callable[[], int]:
    """Return kornia's RandAugment on whole batches, or on one example at a time."""
    from kornia.augmentation.auto import RandAugment as Kornia

    policy = Kornia(n=OPERATIONS, m=MAGNITUDE)
    x = some_pictures() / 255
    parts = [x[i : i + 1] for i in range(32)] if each else [x]

    def batch() -> int:
        for part in parts:
            policy(part)
        return sum(len(part) for part in parts)

    return batch


def contestant(name: str) -> Callable[[], int]:
    """Return a contestant of a worker process by name."""
    makers: dict[str, Callable[[], Callable[[], int]]] = {
        "regtune, alone": lambda: ours(alone=True),
        "torchvision, tensors": lambda: torchvisions(pil=False),
        "torchvision, PIL": lambda: torchvisions(pil=True),
        "kornia, example by example": lambda: kornias(each=True),
        "kornia, one draw a batch": lambda: kornias(each=False),
    }
    return makers[name]()


def measured(batch: Callable[[], int]) -> Speed:
    """Run batches for SECONDS after a warm-up, in this process."""
    for _ in range(2):
        batch()
    before, start, pictures = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        pictures += batch()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return Speed(pictures, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def in_worker(name: str, barrier_at: float) -> Speed:
    """Measure a contestant in a worker process, together with the other workers."""
    torch.set_num_threads(1)
    batch = contestant(name)
    batch()
    time.sleep(max(0.0, barrier_at - time.time()))
    return measured(batch)


def in_workers(pool: ProcessPoolExecutor, name: str) -> Speed:
    """Measure a contestant in WORKERS processes at once: pictures and CPU add up, the wall is the longest."""
    start = time.time() + 1.0
    speeds = [future.result() for future in [pool.submit(in_worker, name, start) for _ in range(WORKERS)]]
    return Speed(sum(s.pictures for s in speeds), max(s.wall for s in speeds), sum(s.cpu for s in speeds))


def main() -> None:
    """Measure everyone in turn and print a table."""
    peers = ["torchvision, tensors", "torchvision, PIL", "kornia, example by example", "kornia, one draw a batch"]
    workers = ["regtune, alone", *peers]
    mine = {"regtune, alone": ours(alone=True), "regtune, dense": ours(alone=False)}
    rounds: dict[str, list[Speed]] = {}
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        for _ in range(ROUNDS):
            for threads in (2, 1):
                torch.set_num_threads(threads)
                for name, batch in mine.items():
                    rounds.setdefault(f"{name} | 1 process, {threads} threads", []).append(measured(batch))
            for name in workers:
                rounds.setdefault(f"{name} | {WORKERS} processes", []).append(in_workers(pool, name))
    report(rounds, each=[f"{name} | {WORKERS} processes" for name in peers[:3]])


def report(rounds: dict[str, list[Speed]], each: list[str]) -> None:
    """Print medians; ratios are to the fastest of those that draw for each example."""
    speed = {name: [s.pictures / s.wall for s in speeds] for name, speeds in rounds.items()}
    middle = {name: statistics.median(values) for name, values in speed.items()}
    fastest = max(each, key=lambda name: middle[name])
    machine = describe()["machine"]
    print(f"{machine['processor']}, {machine['cpus']} CPUs; torch {torch.__version__}; {SIZE} x {SIZE} x 3;")
    print(f"batches of {BATCH}; N = {OPERATIONS}, M = {MAGNITUDE};")
    print(f"medians of {ROUNDS} rounds of {SECONDS} s (lowest to highest)\n")
    print("| RandAugment | in | images/s | of the fastest per-example peer | CPU s per 1000 images |")
    print("|---|---|---|---|---|")
    for name, speeds in rounds.items():
        ratio = statistics.median(a / b for a, b in zip(speed[name], speed[fastest], strict=True))
        cpu = statistics.median(1000 * s.cpu / s.pictures for s in speeds)
        span = f"{middle[name]:,.0f} ({min(speed[name]):,.0f} to {max(speed[name]):,.0f})"
        print(f"| {name} | {span} | {ratio:.2f} | {cpu:.3f} |")


if __name__ == "__main__":
    main()
