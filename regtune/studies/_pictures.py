"""Real pictures for studies: those that come with scikit-learn, and those of the user's data folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from regtune.core.errors import Refused
from regtune.data import DATASETS, DataLocation, pixels
from regtune.data.digits import Digits

PHOTOGRAPHS = ("flower.jpg", "china.jpg")
SIDE = 48  # of a photograph in a study
IN_FOLDER = {"fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
DIGITS, PHOTOS = "digits of scikit-learn", "photographs of scikit-learn"


def pairs(place: DataLocation) -> Iterator[tuple[str, Tensor | str]]:
    """Yield two pictures [2, C, H, W] in whole 255ths of every source by its name, or why there are none.

    Digits and, with pillow, photographs are always there; others where there is a data folder.
    """
    yield DIGITS, _in_levels(Digits().pool(DataLocation()).train.images[2:4])
    if importlib.util.find_spec("PIL") is None:
        yield PHOTOS, 'pillow is not installed; pip install "regtune[vision]"'
    else:
        yield PHOTOS, _in_levels(torch.stack([_photograph(name) for name in PHOTOGRAPHS]))
    for name, title in IN_FOLDER.items() if place.root is not None else ():
        try:
            yield title, _first_two(name, place)
        except Refused as error:
            yield title, str(error)


def _in_levels(pictures: Tensor) -> Tensor:
    return (pictures * 255).round() / 255


def _first_two(name: str, place: DataLocation) -> Tensor:
    """Return the first pictures of two classes."""
    examples = DATASETS.find(name, "data set")().pool(place).train
    first = [int((examples.labels == label).nonzero()[0]) for label in (0, 1)]
    return pixels(examples.pictures(torch.tensor(first)), torch.float32)


def _photograph(name: str) -> Tensor:
    """Return the middle of a photograph, made smaller."""
    from sklearn.datasets import load_sample_image

    whole = torch.tensor(load_sample_image(name)).movedim(2, 0)[None] / 255
    height, width = whole.shape[2:]
    left = (width - height) // 2
    return interpolate(whole[..., left : left + height], size=(SIDE, SIDE), mode="area")[0]
