"""Your own pictures: `train/<class>/...` and, if you have it, `test/<class>/...`, in a folder or a tar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from regtune.data._cache import cached
from regtune.data._examples import Examples
from regtune.data._pictures import Picture, find_pictures, is_tar, read_pictures
from regtune.data._place import Place
from regtune.data._real import Own
from regtune.data._splits import Pool
from regtune.errors import Refused
from regtune.space import knob


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Own):
    """Picture files by class, resized to side x side; classes are numbered in the order of their names.

    `path` is a folder, a .tar or a .tar.gz below the data folder. Source: the layout of
    `torchvision.datasets.ImageFolder`, once for each split (2016).
    """

    side: int = knob(default=32, legal="[1, 1024]", meaning="height and width in pixels, after resizing")
    colour: str = knob(default="rgb", legal=("rgb", "grey"), meaning="three channels or one")

    def pool(self, place: Place) -> Pool:
        """Return all pictures; raises Refused for files that are none, by name."""
        path = place.below(self.path, self.where)
        # A tar is one original; its contents are looked at only when they are read.
        pictures = [] if is_tar(path) else find_pictures(path, self.where)
        originals = [path / picture.path for picture in pictures] or [path]
        settings = {"path": self.path, "side": self.side, "colour": self.colour}
        return cached(
            place.folder(self.where),
            "image_folder",
            settings,
            originals,
            lambda: self._read(path, pictures or find_pictures(path, self.where)),
        )

    def _read(self, path: Path, pictures: list[Picture]) -> Pool:
        classes = sorted({picture.label for picture in pictures if picture.part == "train"})
        unknown = sorted({picture.label for picture in pictures} - set(classes))
        if unknown:
            raise Refused(f"{self.where}: expected the classes of train/ in test/ too, given {', '.join(unknown[:3])}")
        number = {label: place for place, label in enumerate(classes)}
        read = read_pictures(path, pictures, side=self.side, colour=self.colour, where=self.where)
        images, labels = torch.from_numpy(read), torch.tensor([number[picture.label] for picture in pictures])
        tested = sum(picture.part == "test" for picture in pictures)  # "test" sorts before "train"
        test = Examples.of(images=images[:tested], labels=labels[:tested]) if tested else None
        train = Examples.of(images=images[tested:], labels=labels[tested:])
        return Pool(train=train, test=test, classes=len(classes))
