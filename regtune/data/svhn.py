"""SVHN: house numbers from street views, 32x32 in colour, 73,257 + 26,032."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from regtune.data._examples import Examples
from regtune.data._splits import Pool
from regtune.data._torchvision import Published


@dataclass(frozen=True, kw_only=True)
class Svhn(Published):
    """32x32 photographs of the ten digits, cropped, 73,257 + 26,032 (without "extra"), in the original .mat files.

    Source: Y. Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning" (2011).
    """

    files = ("train_32x32.mat", "test_32x32.mat")

    def download(self, folder: Path) -> None:
        """Have torchvision fetch the files."""
        for part in ("train", "test"):
            self.datasets().SVHN(folder, split=part, download=True)

    def read(self, folder: Path) -> Pool:
        """Return the pool; every file has torchvision's checksum. The digit 0 is class 0."""
        published = self.datasets().SVHN
        self.verify(folder, {name: md5 for _, name, md5 in published.split_list.values()})

        def part(name: str) -> Examples:
            read = published(folder, split=name)
            return Examples.of(images=torch.from_numpy(read.data).contiguous(), labels=torch.from_numpy(read.labels))

        return Pool(train=part("train"), test=part("test"), classes=10)
