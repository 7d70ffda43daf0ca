"""An epoch of regtune against the usual `DataLoader` script with two workers, on the same pictures.

    python benchmarks/epoch.py --data DIR [--rounds 5]

MNIST with a small mlp (aim: at least five times as fast), and 10,000 pictures of CIFAR-10 with ResNet-20,
flip and crop (aim on two cores: not slower; there is hardly more to win). DIR holds MNIST as torchvision has
it and `cifar10-jpeg.tar`, a JPEG copy of CIFAR-10. Both use two threads; whole epochs of training, no
validation, wall seconds, in turn; medians over rounds and the median of the ratio within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from regtune import Trial
from regtune.data import DataLocation
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process
from regtune.training.step_timer import StepTimer

THREADS, BATCH = 2, 128


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """Pictures and labels one by one, through transforms, as torchvision's data sets hand them out."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Any], Tensor]) -> None:
        to_pil = v2.ToPILImage()
        self.pictures, self.labels, self.transform = [to_pil(image) for image in images], labels, transform

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        """Return one picture and its label."""
        return self.transform(self.pictures[place]), self.labels[place]


def compare(name: str, trial: Trial, place: DataLocation, net: nn.Module, augment: list[nn.Module], rounds: int) -> str:
    """Return a row of the table."""
    prepare_process(THREADS)
    lane = Lane((trial,), data=load_data(trial, place))
    train = lane.data.train
    everything = train.take(torch.arange(len(train)))
    mean, std = (tuple(lane.state.buffers[f"normalize.{kind}"].flatten().tolist()) for kind in ("mean", "std"))
    transform = v2.Compose([*augment, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    loader = DataLoader(
        Pictures(everything.images, everything.labels, transform),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=2,
        persistent_workers=True,
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    epoch = iter(range(1, 1000))

    def ours() -> None:
        number = next(epoch)
        lane._pass([number], lane.update_plan.in_epoch(number), StepTimer(lane.train_step.device))

    def theirs() -> None:
        plain.train(net, optimizer, loader)

    ours()
    theirs()
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    return f"| {name} | {len(train)} | {a:.2f} | {b:.2f} | {ratio:.2f} |"


def timed(run: Callable[[], None]) -> float:
    """Return the wall seconds of a run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def trial(data: dict[str, Any], network: dict[str, Any], recipe: list[dict[str, Any]]) -> Trial:
    """Return a trial of one of the two comparisons."""
    optimizer = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False}
    return Trial(
        data=data, network=network, optimizer=optimizer, recipe=tuple(recipe), epochs=100, batch=BATCH, seed=0,
        threads=THREADS,
    )  # fmt: skip


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    place = DataLocation(root=arguments.data, download=False)
    print("| epoch | pictures | regtune, s | DataLoader script, s | times as fast |")
    print("|---|---:|---:|---:|---:|")
    mnist = trial({"name": "mnist"}, {"name": "mlp", "widths": [128, 128]}, [])
    print(compare("MNIST, mlp 128-128", mnist, place, plain.mlp((128, 128), 784), [], arguments.rounds), flush=True)
    cifar = trial(
        {"name": "image_folder", "path": "cifar10-jpeg.tar", "side": 32, "train": 10_000},
        {"name": "resnet", "depth": 20},
        [{"name": "horizontal_flip"}, {"name": "random_crop"}],
    )
    usual = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
    print(compare("CIFAR-10 (JPEG copy), ResNet-20", cifar, place, plain.ResNet20(), usual, arguments.rounds))


if __name__ == "__main__":
    main()
