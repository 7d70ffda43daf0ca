"""The registry of data sets: one file = one data set -> tensors, split once and for all by a seed."""

from regtune.core.columns import Column, blocks
from regtune.core.registry import Registry
from regtune.data._base import Dataset
from regtune.data._cache import CACHE
from regtune.data._corruption import corrupted
from regtune.data._examples import Batches, Examples, beside, channel_statistics, joined, pixels
from regtune.data._fingerprint import data_fingerprint
from regtune.data._location import DataLocation
from regtune.data._on_disk import Own, Real
from regtune.data._remarks import nearly_black, repeated, unequal_classes, untested
from regtune.data._splits import Pool, Splits, carve, checked, named, placed, splits_beside

DATASETS: Registry[Dataset] = Registry(package=__name__, base=Dataset, noun="data set")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = [
    "CACHE",
    "DATASETS",
    "Batches",
    "Column",
    "DataLocation",
    "Dataset",
    "Examples",
    "Own",
    "Pool",
    "Real",
    "Splits",
    "beside",
    "blocks",
    "carve",
    "channel_statistics",
    "checked",
    "corrupted",
    "data_fingerprint",
    "joined",
    "named",
    "nearly_black",
    "pixels",
    "placed",
    "repeated",
    "splits_beside",
    "unequal_classes",
    "untested",
]
