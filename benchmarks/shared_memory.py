"""Do worker processes share the pictures of a data set? Proportional set sizes of eight that train on Fashion-MNIST.

    python benchmarks/shared_memory.py --data DIR

Each row starts fresh worker processes on a private Ray, hands all of them the data in one way, has each train one
epoch of a small mlp, and reads /proc/PID/smaps_rollup while all are alive (what psutil calls pss, without psutil): of a
page that n processes share, each is charged the n-th part, so the sums are what the machine really holds. "shared" is
the part in shared memory, "own" what is private. The first row trains on 32 pictures of 16 pixels, so its batches and
activations are small, too.
Linux only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import ray
from tabulate import tabulate

from regtune.core.records import Trial
from regtune.data import DataLocation, Examples, Pool, Splits
from regtune.data.fashion_mnist import FashionMnist
from regtune.execution.ray.transfer import SharedData
from regtune.training.trainer import train

WORKERS = 8
MEGABYTE = 1024  # kB, as /proc counts


class Sizes(NamedTuple):
    """Megabytes of a process: resident, proportional, and of that shared memory and private memory."""

    resident: float
    proportional: float
    shared: float
    own: float


def sizes() -> Sizes:
    """Return the sizes of this process."""
    rows = (line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {name.rstrip(":"): int(value) for name, value, *_ in rows}
    return Sizes(*(kilobytes[name] / MEGABYTE for name in ("Rss", "Pss", "Pss_Shmem", "Pss_Anon")))


class Worker:
    """A process that trains one epoch and then keeps what it has."""

    def train(self, number: int, shared_data: SharedData | None, *, copy: bool) -> None:
        """Train on the shipment's data; without one, on a few made-up pictures."""
        name = {"name": "synthetic"} if shared_data is None else {"name": "fashion_mnist", "split_seed": number}
        trial = Trial(
            data=name,
            network={"name": "mlp", "widths": [64]},
            optimizer={"name": "sgd", "learning_rate": 0.03},
            epochs=2,
            batch=50 if shared_data is None else 500,
            seed=number,
        )
        self.data = shared_data.unpack() if shared_data is not None else None
        if copy:
            self.data = copied(self.data)
        self.epochs = train(trial, data=self.data)
        next(self.epochs)

    def sizes(self) -> Sizes:
        """Return the sizes of this process."""
        return sizes()


def copied(data: Splits | Pool | None) -> Splits | Pool | None:
    """Return splits over pictures of their own, as a process has them that reads the files for itself."""
    if not isinstance(data, Splits):
        return data
    whole = Examples(source=data.train.source.clone(), index=data.train.index, labels=data.train.labels)
    rest = Examples(source=whole.source, index=data.validation.index, labels=data.validation.labels)
    return Splits(train=whole, validation=rest, test=data.test, classes=data.classes)


def measured(shared_data: SharedData | None, *, copy: bool = False) -> list[float]:
    """Return the sums over the workers: resident, proportional, shared, own."""
    remote: Any = ray.remote(num_cpus=1)(Worker)
    workers = [remote.remote() for _ in range(WORKERS)]
    handed = ray.put(shared_data)
    ray.get([worker.train.remote(number, handed, copy=copy) for number, worker in enumerate(workers)])
    time.sleep(1)
    found = ray.get([worker.sizes.remote() for worker in workers])
    for worker in workers:
        ray.kill(worker)
    return [sum(column) for column in zip(*found, strict=True)]


def main() -> None:
    """Measure four ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("REGTUNE_DATA"), help="folder with FashionMNIST")
    value, place = FashionMnist(), DataLocation(root=parser.parse_args().data)
    pool = value.pool(place)
    splits = value.split(pool)
    seen = splits.without_test()
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    rows = {
        "no data": measured(None),
        "search: one split": measured(SharedData.pack(seen)),
        "confirm: one split": measured(SharedData.pack(splits)),
        "confirm: fresh splits": measured(SharedData.pack(pool)),
        "a copy in each worker": measured(SharedData.pack(seen), copy=True),
    }
    ray.shutdown()
    mb = pool.train.source.nbytes / 2**20
    print(f"{WORKERS} workers, {mb:.0f} MB of training and validation pictures; sums over the workers in MB")
    headers = ("what a worker holds", "resident", "proportional", "of it shared", "of it own")
    print(tabulate([(name, *row) for name, row in rows.items()], headers=headers, floatfmt=".0f", tablefmt="pipe"))


if __name__ == "__main__":
    main()
