"""Does `regtune.compare` have its table in time? A user's module, and a folder of small pictures.

    python benchmarks/compare.py [--minutes 2] [--pictures 400] [--interrupt SECONDS]

Makes a folder train/<class>/*.png of four classes, 32 x 32, and compares dropout, mixup and l2 with the baseline for a
small convolutional network with BatchNorm and Dropout, in this process. Prints the seconds from the call to its
return, and from the call until the table is printed, which includes the imports of both, and what there is of the
sweep. With --interrupt SIGINT comes after so many seconds, as Ctrl-C would.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

import regtune

CLASSES, SIDE = 4, 32


class Net(nn.Module):
    """Three convolutions, as in many a tutorial."""

    def __init__(self) -> None:
        super().__init__()
        widths, parts = (3, 16, 32, 64), list[nn.Module]()
        for before, behind in itertools.pairwise(widths):
            parts += [nn.Conv2d(before, behind, 3, padding=1), nn.BatchNorm2d(behind), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*parts, nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(64 * (SIDE // 8) ** 2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.features(x))
        return logits


def write_pictures(folder: Path, count: int) -> Path:
    """Write bars in noise, which lie in another direction in each class."""
    draw, grid = np.random.default_rng(0), np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        label = number % CLASSES
        angle = np.pi * label / CLASSES + draw.normal(0, 0.25)
        wave = np.sin(0.9 * (np.cos(angle) * grid[0] + np.sin(angle) * grid[1]) + draw.uniform(0, 6))
        picture = 110 + 25 * wave[..., None] + draw.normal(0, 45, (SIDE, SIDE, 3))
        file = folder / "train" / f"class{label}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file)
    return folder


def main() -> None:
    """Print how long it took, and what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--interrupt", type=float, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        pictures = write_pictures(Path(root) / "pictures", given.pictures)
        if given.interrupt is not None:
            threading.Timer(given.interrupt, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        results = regtune.compare(
            Net, pictures, ["dropout", "mixup", "l2"], minutes=given.minutes, results=Path(root) / "results"
        )
        returned = time.monotonic() - began
        print(results)
        printed = time.monotonic() - began
        print(repr(results))
        share = printed / (60 * given.minutes)
        print(f"returned after {returned:.1f} s, table after {printed:.1f} s: {share:.2f} of the minutes")


if __name__ == "__main__":
    main()
