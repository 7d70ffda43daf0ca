"""From rows of a table to features: what is fitted, medians, scales and known categories, is of training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from regtune.core.columns import Column
from regtune.data._examples import Examples
from regtune.data._splits import Splits

SCALINGS = STANDARD, QUANTILE, NONE = ("standard", "quantile", "none")
_QUANTILES = 1000  # at most, and no more than there are training rows
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What training rows say of one column: its median, and what brings its numbers to scale."""

    median: float
    scale: Any  # of scikit-learn; None where numbers stay as they are


def encoded(splits: Splits, columns: Sequence[Column], scaling: str) -> Splits:
    """Return the splits with rows [N, F, 1, 1] (float32) of features, of rows [N, columns, 1, 1] as they were read.

    Numbers as read are numbers, NaN where missing, categories their places in `Column.values`. "standard" has mean 0
    and variance 1 over training rows, "quantile" maps their ranks to a normal distribution, as scikit-learn's
    StandardScaler and QuantileTransformer do.
    """
    train = _rows(splits.train)
    fitted = [_fit(column, train[:, place], scaling) for place, column in enumerate(columns)]
    known = [set(train[:, place].tolist()) for place in range(len(columns))]
    made: dict[int, torch.Tensor] = {}

    def part(examples: Examples | None) -> Examples | None:
        if examples is None:
            return None
        if id(examples.source) not in made:
            raw = examples.source.flatten(1).numpy()
            made[id(examples.source)] = _features(raw, columns, fitted, known)
        return replace(examples, source=made[id(examples.source)])

    first, second = part(splits.train), part(splits.validation)
    if first is None or second is None:
        raise ValueError("splits have training and validation examples")
    return replace(splits, train=first, validation=second, test=part(splits.test), columns=tuple(columns))


def _rows(examples: Examples) -> Array:
    rows: Array = examples.images.flatten(1).numpy()
    return rows


def _fit(column: Column, values: Array, scaling: str) -> Fitted:
    if column.values:
        return Fitted(median=0.0, scale=None)
    there = values[~np.isnan(values)]
    median = float(np.median(there)) if len(there) else 0.0
    filled = np.where(np.isnan(values), median, values)[:, None]
    if scaling == NONE:
        return Fitted(median=median, scale=None)
    from sklearn.preprocessing import QuantileTransformer, StandardScaler  # takes a second to import

    if scaling == QUANTILE:
        count = min(_QUANTILES, len(filled))
        transformer = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None)
        return Fitted(median=median, scale=transformer.fit(filled))
    return Fitted(median=median, scale=StandardScaler().fit(filled))


def _features(
    raw: Array, columns: Sequence[Column], fitted: Sequence[Fitted], known: Sequence[set[float]]
) -> torch.Tensor:
    parts = list[Array]()
    for values, column, fit, seen in zip(raw.T, columns, fitted, known, strict=True):
        if column.values:
            places = np.arange(len(column.values))
            trained = np.isin(places, list(seen))
            parts.append(((values[:, None] == places) & trained).astype(np.float64))
            continue
        gone = np.isnan(values)[:, None]
        filled = np.where(gone, fit.median, values[:, None])
        parts.append(filled if fit.scale is None else fit.scale.transform(filled))
        if column.gaps:
            parts.append(gone.astype(np.float64))
    return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))[:, :, None, None]
