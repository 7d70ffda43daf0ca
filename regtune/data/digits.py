"""The 1,797 handwritten digits that come with scikit-learn: real pictures without a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regtune.data._base import Dataset
from regtune.data._examples import Examples
from regtune.data._place import Place
from regtune.data._real import TEST_SEED
from regtune.data._splits import Pool, carve
from regtune.space import knob


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

    @property
    def fixed_test(self) -> bool:
        """Whether the test split is the same for every `split_seed`."""
        return self.test > 0

    def pool(self, place: Place) -> Pool:
        """Return all digits, the test examples apart."""
        from sklearn.datasets import load_digits  # costs two seconds at start-up, so only here

        raw = load_digits()
        everything = Examples.of(
            images=torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16,
            labels=torch.tensor(raw.target, dtype=torch.int64),
        )
        if not self.test:
            return Pool(train=everything, test=None, classes=10)
        test, rest = carve(
            everything, classes=10, sizes=(self.test, len(everything) - self.test), seed=TEST_SEED, where=self.where
        )
        return Pool(train=rest, test=test, classes=10)
