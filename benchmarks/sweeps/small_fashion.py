"""Fashion-MNIST at half its side, so that a sweep by convolutions fits one CPU core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import avg_pool2d

from regtune.data import DataLocation, Examples, Pool
from regtune.data.fashion_mnist import FashionMnist


@dataclass(frozen=True, kw_only=True)
class SmallFashion(FashionMnist):
    """14x14 grey images of ten kinds of clothing, 60,000 + 10,000: means over 2 x 2 pixels of `fashion_mnist`.

    Source: that of `fashion_mnist`, H. Xiao, K. Rasul, R. Vollgraf (2017); made smaller for this benchmark.
    """

    def pool(self, place: DataLocation) -> Pool:
        """Return all examples, the published test split apart."""
        whole = FashionMnist().pool(place)
        test = whole.test if whole.test is None else _halved(whole.test)
        return replace(whole, train=_halved(whole.train), test=test)


def _halved(examples: Examples) -> Examples:
    means = avg_pool2d(examples.images.to(torch.float32), 2).round().to(torch.uint8)
    return Examples.of(images=means, labels=examples.labels)
