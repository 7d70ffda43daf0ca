"""The 1,797 handwritten digits that come with scikit-learn: real pictures without a network."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from regtune.core.knobs import knob
from regtune.data._base import Dataset
from regtune.data._classes import classes_knob, of_classes
from regtune.data._examples import Examples
from regtune.data._location import DataLocation
from regtune.data._on_disk import TEST_SEED
from regtune.data._splits import Pool, carve


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """8x8 grey images of ten digits, pixel values k/16 as float32.

    With `test` > 0 so many, the classes in proportion, are the test split, the same whatever the other settings, and
    training and validation examples are of the rest; else test is what these leave.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), the test
    part, as `sklearn.datasets.load_digits` ships it.
    """

    train: int = knob(default=200, legal="[10, 1700]", meaning="training examples")
    validation: int = knob(default=397, legal="[10, 1700]", meaning="validation examples")
    test: int = knob(
        default=0, legal="[0, 1700]", meaning="test examples, the same in every split; 0 is what the others leave"
    )
    classes: tuple[int, ...] = classes_knob()

    def restricted(self, pool: Pool) -> Pool:
        """Return the pool of the classes that are told apart."""
        return of_classes(pool, self.classes, self.where)

    @property
    def fixed_test(self) -> bool:
        """Whether the test split is the same for every `split_seed`."""
        return self.test > 0

    def pool(self, place: DataLocation) -> Pool:
        """Return all digits, the test examples apart."""
        images, labels = shipped_digits()
        everything = Examples.of(
            images=torch.tensor(images, dtype=torch.float32)[:, None] / 16,
            labels=torch.tensor(labels, dtype=torch.int64),
        )
        if not self.test:
            return Pool(train=everything, test=None, classes=10)
        test, rest = carve(
            everything, classes=10, sizes=(self.test, len(everything) - self.test), seed=TEST_SEED, where=self.where
        )
        return Pool(train=rest, test=test, classes=10)


def shipped_digits() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images [N, 8, 8] of 0 to 16 and labels [N], as `load_digits` does, from the file that it reads.

    To import scikit-learn takes longer than to check a sweep; it is asked only where its file lies elsewhere.
    """
    spec = importlib.util.find_spec("sklearn")  # looks for the package, and does not import it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                rows = np.loadtxt(lines, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)
    from sklearn.datasets import load_digits

    raw = load_digits()
    return raw.images, raw.target
