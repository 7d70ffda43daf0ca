"""Splits that leave pictures without labels, and the methods that want them at each step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from regtune.core.knobs import knobs
from regtune.core.records import Json, Trial
from regtune.data import DataLocation, Pool, Splits
from regtune.regularizers import REGULARIZERS, Regularizer, overrides
from regtune.training.build import load_pool, split_data
from tests.conftest import METHODS, searched, small_trial

WANTING = [name for name in METHODS if overrides(REGULARIZERS.all()[name], "wants_unlabelled")]
LEFT = 170


def wanting(name: str, end: str = "low") -> Regularizer:
    """Return a method that wants pictures without labels, its searched knobs at one end of their space."""
    assert "pictures" in knobs(REGULARIZERS.all()[name])
    return dataclasses.replace(searched(name, end), pictures="all")  # type: ignore[call-arg]  # those that want have it


def spare_trial(recipe: Sequence[Json] = (), **changes: Any) -> Trial:
    """Return a small trial whose data leave LEFT pictures without labels."""
    data = {"name": "digits", "train": 48, "validation": 32, "test": 1797 - 48 - 32 - LEFT}
    return small_trial(recipe, **({"data": data} | changes))


@functools.cache
def spare_pool() -> Pool:
    """Return the pool of such trials."""
    return load_pool(spare_trial(), DataLocation())


def spare(trial: Trial) -> Splits:
    """Return the splits of such a trial."""
    splits = split_data(trial, spare_pool())
    assert splits.unlabelled is not None
    assert len(splits.unlabelled) == LEFT
    return splits
