"""The 1,797 handwritten digits that come with scikit-learn: real pictures without a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regtune.data._base import Dataset, Examples, Splits, carve
from regtune.space import knob


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """8x8 grey images of ten digits, pixel values k/16 as float32; test is what the others leave.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), the test
    part, as `sklearn.datasets.load_digits` ships it.
    """

    train: int = knob(default=200, legal="[10, 1700]", meaning="training examples")
    validation: int = knob(default=397, legal="[10, 1700]", meaning="validation examples")

    def load(self) -> Splits:
        """Return the splits; raises Refused where fewer than 10 examples are left for the test."""
        from sklearn.datasets import load_digits  # costs two seconds at start-up, so only here

        raw = load_digits()
        everything = Examples(
            images=torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16,
            labels=torch.tensor(raw.target, dtype=torch.int64),
        )
        rest = max(len(everything) - self.train - self.validation, 10)
        train, validation, test = carve(
            everything,
            classes=10,
            sizes=(self.train, self.validation, rest),
            seed=self.split_seed,
            where="data digits",
        )
        return Splits(train=train, validation=validation, test=test, classes=10)
