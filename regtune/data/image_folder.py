"""Your own pictures: `train/<class>/...` and, if you have it, `test/<class>/...`, in a folder or a tar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from regtune.core.errors import Refused
from regtune.core.knobs import knob, plain_settings
from regtune.data._cache import cached
from regtune.data._examples import Examples
from regtune.data._location import DataLocation
from regtune.data._on_disk import Own
from regtune.data._pictures import Picture, find_pictures, is_tar, left_out, read_pictures
from regtune.data._shapes import FITS, SQUEEZE
from regtune.data._splits import Pool

_DECIDING = ("path", "side", "colour", "fit")  # settings that the decoded pictures depend on


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Own):
    """Picture files by class, turned as their EXIF says, as side x side; classes in the order of their names.

    Pictures of 16 bits are divided by 257, those of floats in [0, 1] multiplied by 255, alpha is dropped, and of
    several frames the first is taken: `_levels` has every mode.

    `path` is a folder, a .tar or a .tar.gz below the data folder. Source: the layout of
    `torchvision.datasets.ImageFolder`, once for each split (2016).
    """

    side: int = knob(default=32, legal="[1, 1024]", meaning="height and width in pixels, after resizing")
    colour: str = knob(default="rgb", legal=("rgb", "grey"), meaning="three channels or one")
    fit: str = knob(
        default=SQUEEZE,
        legal=FITS,
        late=True,
        meaning="how a picture becomes square: squeezed, its middle cropped out, or padded with black",
    )

    def pool(self, place: DataLocation) -> Pool:
        """Return all pictures; raises Refused for files that are none, by name."""
        path = place.below(self.path, self.where)
        # A tar is one original; its contents are looked at only when they are read.
        pictures = [] if is_tar(path) else find_pictures(path, self.where)
        originals = [path / picture.path for picture in pictures] or [path]
        settings = {name: value for name, value in plain_settings(self).items() if name in _DECIDING}
        pool = cached(
            place.folder(self.where),
            "image_folder",
            settings,
            originals,
            lambda: self._read(path, pictures or find_pictures(path, self.where)),
        )
        return replace(pool, notes=(*pool.notes, *left_out(path, pictures)))

    def _read(self, path: Path, pictures: list[Picture]) -> Pool:
        classes = sorted({picture.label for picture in pictures if picture.part == "train"})
        unknown = sorted({picture.label for picture in pictures} - set(classes))
        if unknown:
            raise Refused(f"{self.where}: expected the classes of train/ in test/ too, given {', '.join(unknown[:3])}")
        number = {label: place for place, label in enumerate(classes)}
        read = read_pictures(path, pictures, side=self.side, colour=self.colour, fit=self.fit, where=self.where)
        images, labels = torch.from_numpy(read.levels), torch.tensor([number[picture.label] for picture in pictures])
        tested = sum(picture.part == "test" for picture in pictures)  # "test" sorts before "train"
        test = Examples.of(images=images[:tested], labels=labels[:tested]) if tested else None
        train = Examples.of(images=images[tested:], labels=labels[tested:])
        return Pool(train=train, test=test, classes=len(classes), names=tuple(classes), notes=read.notes)
