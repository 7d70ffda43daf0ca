"""CIFAR-100: photographs of a hundred kinds in twenty groups, 32x32 in colour, 50,000 + 10,000."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

from regtune.core.knobs import knob
from regtune.data._cifar import cifar_checksums, cifar_part
from regtune.data._examples import Examples
from regtune.data._splits import Pool
from regtune.data._torchvision import Published


@dataclass(frozen=True, kw_only=True)
class Cifar100(Published):
    """32x32 photographs, 50,000 + 10,000, in the original python files; 100 fine or 20 coarse classes.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
    """

    labels: str = knob(default="fine", legal=("fine", "coarse"), meaning="100 classes, or the 20 groups that they form")

    files = ("cifar-100-python/train", "cifar-100-python/test", "cifar-100-python/meta")

    def download(self, folder: Path) -> None:
        """Have torchvision fetch and unpack the files."""
        self.datasets().CIFAR100(folder, download=True)

    def variant(self) -> dict[str, str]:
        """Return which labels the pool has."""
        return {"labels": self.labels}

    def read(self, folder: Path) -> Pool:
        """Return the pool; every file has torchvision's checksum."""
        published = self.datasets().CIFAR100
        self.verify(folder, cifar_checksums(published))

        def part(train: bool, file: str) -> Examples:
            read = published(folder, train=train)
            coarse = _coarse(folder / file)
            groups.update(zip(read.targets, coarse, strict=True))
            return cifar_part(read, read.targets if self.labels == "fine" else coarse)

        groups: dict[int, int] = {}
        train, test, _ = self.files
        pool = Pool(train=part(True, train), test=part(False, test), classes=100 if self.labels == "fine" else 20)
        return replace(pool, superclasses=tuple(groups[k] for k in range(100))) if self.labels == "fine" else pool


def _coarse(file: Path) -> list[int]:
    """Return the labels that torchvision leaves out."""
    with file.open("rb") as opened:
        labels: list[int] = pickle.load(opened, encoding="latin1")["coarse_labels"]  # noqa: S301 - its checksum was verified
    return labels
