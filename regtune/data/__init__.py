"""The shelf of data sets: one file = one data set -> tensors, split once and for all by a seed."""

from regtune.data._base import Dataset, Examples, Splits, carve, checked, joined, pixels
from regtune.shelf import Shelf

DATASETS: Shelf[Dataset] = Shelf(package=__name__, base=Dataset, noun="data set")  # type: ignore[type-abstract]  # a shelf never instantiates its base

__all__ = ["DATASETS", "Dataset", "Examples", "Splits", "carve", "checked", "joined", "pixels"]
