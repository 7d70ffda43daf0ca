"""Data sets in the IDX files of MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from regtune.data._examples import Examples
from regtune.data._splits import Pool
from regtune.data._torchvision import Published

CLASSES = 10


def idx_files(folder: str) -> tuple[str, ...]:
    """Return the four files below a folder as torchvision keeps them: images, labels, of training and of test."""
    return tuple(
        f"{folder}/raw/{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    )


@dataclass(frozen=True, kw_only=True)
class Idx(Published):
    """Grey images of ten classes. `publisher` is the name of the class in torchvision."""

    publisher: ClassVar[str]

    def download(self, folder: Path) -> None:
        """Have torchvision fetch and unpack the files; it checks what it fetches."""
        getattr(self.datasets(), self.publisher)(folder, download=True)

    def read(self, folder: Path) -> Pool:
        """Return the pool. The unpacked files have no checksum; what they hold must be what they announce."""
        readers = self.datasets().mnist
        train_images, train_labels, test_images, test_labels = (folder / file for file in self.files)

        def part(images: Path, labels: Path) -> Examples:
            pictures = self.whole(images, readers.read_image_file)
            numbers = self.whole(labels, readers.read_label_file)
            if len(numbers) != len(pictures) or not len(numbers) or int(numbers.max()) >= CLASSES:
                raise self.damaged(labels)
            # What torchvision reads lies behind the header of its file: a copy lies by itself.
            return Examples.of(images=pictures[:, None].clone(), labels=numbers.to(torch.int64))

        return Pool(train=part(train_images, train_labels), test=part(test_images, test_labels), classes=CLASSES)
