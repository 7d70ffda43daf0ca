"""CIFAR-10: photographs of ten kinds, 32x32 in colour, 50,000 + 10,000."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regtune.data._cifar import cifar_checksums, cifar_part
from regtune.data._splits import Pool
from regtune.data._torchvision import Published

OTHERS = ("test_batch", "batches.meta")


@dataclass(frozen=True, kw_only=True)
class Cifar10(Published):
    """32x32 photographs of ten kinds of things, 50,000 + 10,000, in the original python files.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
    """

    files = tuple(f"cifar-10-batches-py/{n}" for n in (*(f"data_batch_{k}" for k in range(1, 6)), *OTHERS))

    def download(self, folder: Path) -> None:
        """Have torchvision fetch and unpack the files."""
        self.datasets().CIFAR10(folder, download=True)

    def read(self, folder: Path) -> Pool:
        """Return the pool; every file has torchvision's checksum."""
        published = self.datasets().CIFAR10
        self.verify(folder, cifar_checksums(published))
        train, test = (published(folder, train=part) for part in (True, False))
        return Pool(train=cifar_part(train, train.targets), test=cifar_part(test, test.targets), classes=10)
