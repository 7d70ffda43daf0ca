"""Made-up pictures for tests and first steps: one fixed pattern per class plus pixel noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.data._base import Dataset
from regtune.data._examples import Examples
from regtune.data._location import DataLocation
from regtune.data._splits import Pool, Splits, carve


@dataclass(frozen=True, kw_only=True)
class Synthetic(Dataset):
    """Grey images: clamp(pattern of the class + noise * normal draws, 0, 1), equally many per class.

    Of three classes and more, two neighbours each form a superclass. The patterns and the draws are functions of
    `split_seed`. Source: none, made for regtune.
    """

    train: int = knob(default=64, legal="[2, 1000000]", meaning="training examples")
    validation: int = knob(default=32, legal="[2, 1000000]", meaning="validation examples")
    test: int = knob(default=32, legal="[2, 1000000]", meaning="test examples")
    classes: int = knob(default=4, legal="[2, 1000]", meaning="classes")
    side: int = knob(default=4, legal="[1, 256]", meaning="height and width in pixels")
    noise: float = knob(default=0.3, legal="[0, 10]", meaning="standard deviation of the pixel noise")

    def pool(self, place: DataLocation) -> Pool:
        """Return no examples: they are made with the splits, since a split seed makes pictures of its own."""
        nothing = Examples.of(images=torch.zeros(0, 1, self.side, self.side), labels=torch.zeros(0, dtype=torch.int64))
        return Pool(train=nothing, test=None, classes=self.classes)

    def split(self, pool: Pool) -> Splits:
        """Return the splits."""
        draws = Rng(seed=self.split_seed)
        count = self.train + self.validation + self.test
        labels = torch.arange(count) % self.classes
        patterns = draws.uniform("pattern", (self.classes, 1, self.side, self.side))
        speckle = draws.normal("speckle", (count, 1, self.side, self.side))
        images = (patterns[labels] + self.noise * speckle).clamp(0, 1)
        train, validation, test = carve(
            Examples.of(images=images, labels=labels),
            classes=self.classes,
            sizes=(self.train, self.validation, self.test),
            seed=self.split_seed,
            where=self.where,
        )
        pairs = tuple(label // 2 for label in range(self.classes)) if self.classes > 2 else ()
        return Splits(train=train, validation=validation, test=test, classes=self.classes, superclasses=pairs)
