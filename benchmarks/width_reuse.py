"""Double descent by width with a smaller network's weights reused: test error of an mlp with one hidden layer.

    REGTUNE_DATA=... python benchmarks/width_reuse.py --to results/published/width_reuse_mnist.md

As M. Belkin et al. (PNAS 2019): squared loss, momentum 0.95. `reused` begins with the trained weights of the next
smaller width, its further units drawn with variance 0.01; from the interpolation threshold on, where the network has as
many parameters as examples x classes, it begins anew, as `fresh` does at every width. A training ends when every
training example is right, or after all epochs. Each seed has its own digits, wrong labels and initial weights. Test
errors are those of 2,000 examples that were not trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from regtune.core.rng import Rng
from regtune.core.state import Tensors
from regtune.data import Splits
from regtune.studies._trained import trial_of
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeps"))  # where the plugin squared_loss is

WIDTHS = (2, 4, 6, 8, 10, 11, 12, 13, 14, 16, 20, 32, 64)
INPUTS, CLASSES = 784, 10
STANDARD_DEVIATION = 0.1  # of the weights of further units
WAYS = ("fresh", "reused")


def widened(narrow: Tensors, wide: Tensors, seed: int) -> Tensors:
    """Return initial weights in the shapes of a wide network, with those of a trained narrow one in their places."""
    found = {}
    for name, value in wide.items():
        draws = STANDARD_DEVIATION * Rng(seed=seed).at("widened").normal(name, value.shape)
        draws[tuple(slice(size) for size in narrow[name].shape)] = narrow[name]
        found[name] = draws
    return found


def trained(data: Splits, settings: argparse.Namespace, width: int, seed: int, narrow: Tensors | None) -> Lane:
    """Return the lane of a network of this width after training, from the weights of a narrower one if given."""
    trial = trial_of(
        network={"name": "mlp", "widths": [width]},
        optimizer={"name": "sgd", "learning_rate": settings.learning_rate, "momentum": 0.95},
        recipe=({"name": "squared_loss"}, {"name": "linear_decay", "last": 0.0}),
        epochs=settings.epochs,
        batch=50,
        seed=seed,
        plugins=("squared_loss",),
    )
    lane = Lane((trial,), data=data)
    if narrow is not None:
        state = lane.state
        lane = Lane((trial,), data=data, weights=(widened(narrow, state.params, seed), state.buffers))
    for (epoch,) in lane:
        if epoch is not None and epoch.train_accuracy == 1:
            break
    return lane


def runs(settings: argparse.Namespace, noise: float, way: str, seed: int) -> Iterator[tuple[float, float]]:
    """Yield training and test error of each width."""
    sizes = {"train": settings.examples, "validation": 2_000, "label_noise": noise, "split_seed": seed}
    data = load_data(trial_of(data={"name": "mnist"} | sizes))
    narrow: Tensors | None = None
    for width in WIDTHS:
        below = width * (INPUTS + 1 + CLASSES) + CLASSES < settings.examples * CLASSES
        lane = trained(data, settings, width, seed, narrow if way == "reused" and below else None)
        narrow, last = lane.state.params, lane.epochs[0][-1]
        if last.train_accuracy is None or last.val_accuracy is None:
            raise ValueError(f"{width} units, seed {seed}: expected accuracies, given none")
        yield 1 - last.train_accuracy, 1 - last.val_accuracy


def main() -> None:
    """Print the table of each share of wrong labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=600)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    prepare_process(1)
    lines = [
        f"An mlp with one hidden layer on {given.examples:,} digits of MNIST, squared loss, at most {given.epochs} "
        f"epochs of SGD (learning rate {given.learning_rate:g}, momentum 0.95, batches of 50). Errors in %: means (and "
        f"standard deviations) of {given.seeds} seeds."
    ]
    for noise in given.noise:
        lines += ["", f"{100 * noise:g} % of the training labels resampled:", ""]
        lines += ["| hidden units | parameters | training, fresh | test, fresh | training, reused | test, reused |"]
        lines += ["|---:|---:|---:|---:|---:|---:|"]
        found = torch.tensor(
            [[[*runs(given, noise, way, seed)] for seed in range(given.seeds)] for way in WAYS], dtype=torch.float64
        )
        mean, spread = 100 * found.mean(1), 100 * found.std(1)
        for place, width in enumerate(WIDTHS):
            cells = [
                f"{mean[way, place, part]:.1f} ({spread[way, place, part]:.1f})" for way in (0, 1) for part in (0, 1)
            ]
            lines.append(f"| {width} | {width * (INPUTS + 1 + CLASSES) + CLASSES:,} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if given.to is not None:
        given.to.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
