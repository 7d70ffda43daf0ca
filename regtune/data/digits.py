"""The 1,797 handwritten digits that come with scikit-learn: real pictures without a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regtune.data._base import Dataset
from regtune.data._examples import Examples
from regtune.data._place import Place
from regtune.data._splits import Pool
from regtune.space import knob


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """8x8 grey images of ten digits, pixel values k/16 as float32; test is what the others leave.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), the test
    part, as `sklearn.datasets.load_digits` ships it.
    """

    train: int = knob(default=200, legal="[10, 1700]", meaning="training examples")
    validation: int = knob(default=397, legal="[10, 1700]", meaning="validation examples")

    def pool(self, place: Place) -> Pool:
        """Return all digits."""
        from sklearn.datasets import load_digits  # costs two seconds at start-up, so only here

        raw = load_digits()
        everything = Examples.of(
            images=torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16,
            labels=torch.tensor(raw.target, dtype=torch.int64),
        )
        return Pool(train=everything, test=None, classes=10)
