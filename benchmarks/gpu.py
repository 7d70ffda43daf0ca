"""On a GPU: the training step against a plain loop, and the share of a step that data take. Needs no ray.

    python benchmarks/gpu.py [--device cuda] [--rounds 9]

Steps of an mlp and of ResNet-20 at batch 128 and 1024 as in `step.py`, in seconds until the device is done;
then an epoch of ResNet-20 on made-up pictures with flip, crop and mixup, and the share of it that regtune
itself measured for batches and augmentation (aim: at most 10 % at batch 128).
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import torch
from step import Case, cases, measure

from regtune import Trial
from regtune.data import Examples, Splits
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

EPOCHS = 4  # the first is not counted: kernels are chosen and memory is taken in it


def data_share(batch: int, device: str) -> float:
    """Return the median share of data of an epoch of ResNet-20 with flip, crop and mixup."""
    generator = torch.Generator().manual_seed(0)
    count = batch * 16
    images = torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    examples = Examples.of(images=images, labels=torch.randint(0, 10, (count,), generator=generator))
    trial = Trial(
        data={"name": "synthetic"},
        network={"name": "resnet", "depth": 20},
        optimizer={"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False},
        recipe=({"name": "horizontal_flip"}, {"name": "random_crop"}, {"name": "mixup"}),
        epochs=EPOCHS,
        batch=batch,
        seed=0,
        device=device,
    )
    prepare_process(trial.threads)
    lane = Lane((trial,), data=Splits(train=examples, validation=examples, test=None, classes=10))
    shares = [epoch.data_share for epochs in lane for epoch in epochs if epoch is not None]
    return statistics.median(shares[1:])


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024])
    arguments = parser.parse_args()
    machine = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    print(f"{machine}, torch {torch.__version__}, n = {arguments.rounds} rounds of 20 steps\n")
    *mlps, resnet = cases()
    sizes: list[Case] = [*mlps, *(replace(resnet, name=f"ResNet-20, batch {b}", batch=b) for b in arguments.batches)]
    print("| network | regtune, ms | plain loop, ms | ratio |\n|---|---:|---:|---:|")
    for case in sizes:
        ours, theirs, ratio = measure(case, device=arguments.device, threads=1, rounds=arguments.rounds, steps=20)
        print(f"| {case.name} | {ours * 1e3:.2f} | {theirs * 1e3:.2f} | {ratio:.3f} |", flush=True)
    print("\n| ResNet-20, flip, crop, mixup | share of data |\n|---|---:|")
    for batch in arguments.batches:
        print(f"| batch {batch} | {100 * data_share(batch, arguments.device):.1f} % |", flush=True)


if __name__ == "__main__":
    main()
