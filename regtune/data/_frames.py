"""A table as pandas read it -> a pool of rows: which columns are numbers, which categories, which neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from regtune.core.columns import MISSING, Column
from regtune.core.errors import Refused, nearest, shown
from regtune.data._examples import Examples
from regtune.data._labels import read_labels
from regtune.data._splits import Pool

if TYPE_CHECKING:
    import pandas as pd

TEXT = 0.5  # of the rows, from as many different values on words are taken for free text
LARGEST = 1e18  # of numbers: features are float32, and their squares finite
FEW = 20  # different values that are categories in a table of any length
DATE = re.compile(r"\s*(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})([ T]\d{1,2}:\d{2}.*)?\s*")


def pool_of_frame(
    frame: pd.DataFrame, *, target: str, categories: Sequence[str], drop: Sequence[str], where: str
) -> Pool:
    """Return the rows of a frame [N, columns, 1, 1] (float64) with the classes of its target; raises Refused.

    Numbers stay as they are, NaN where missing; of a category it is the place among the column's values.
    """
    frame = frame.rename(columns=str)
    names = [str(name) for name in frame.columns]
    for setting, given in (("target", [target]), ("categories", categories), ("drop", drop)):
        for name in given:
            if name not in names:
                known = ", ".join(map(shown, names[:9])) + (" ..." if len(names) > 9 else "")
                raise Refused(
                    f"{where}: expected {setting} to name a column of {known}, given "
                    f"{shown(name)}{nearest(name, names)}"
                )
    if target in (*categories, *drop):
        raise Refused(f"{where}: expected target to be no column of categories or drop, given {shown(target)}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"{where}: expected columns of different names, given {shown(twice)} twice; rename one of them")
    chosen = [name for name in names if name != target and name not in drop]
    if not chosen:
        raise Refused(f"{where}: expected columns beside the target, given none; drop fewer")
    read = [_column(frame[name], name, as_category=name in categories, where=where) for name in chosen]
    labels, _ = read_labels(_labels(frame[target], target, where), None, f"{where}: target {shown(target)}")
    raw = torch.from_numpy(np.stack([values for _, values in read], axis=1))[:, :, None, None]
    return Pool(
        train=Examples.of(images=raw, labels=torch.from_numpy(labels.numbers)),
        test=None,
        classes=labels.classes,
        names=labels.names,
        notes=labels.notes,
        columns=tuple(column for column, _ in read),
    )


def _column(values: pd.Series[Any], name: str, *, as_category: bool, where: str) -> tuple[Column, NDArray[np.float64]]:
    from pandas.api import types

    told = f"{where}: column {shown(name)}"
    way = f"drop = [{shown(name)}] leaves it out"
    if types.is_datetime64_any_dtype(values) or types.is_timedelta64_dtype(values):
        raise Refused(f"{told}: expected numbers or categories, given dates; {way}, or make numbers of them")
    if types.is_complex_dtype(values):
        raise Refused(f"{told}: expected numbers or categories, given complex numbers; {way}")
    if types.is_numeric_dtype(values) and not as_category:  # booleans too
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        large = int((np.abs(numbers) > LARGEST).sum())
        if large:
            raise Refused(
                f"{told}: expected finite numbers up to {LARGEST:g}, given {large} that are larger; mend them"
            )
        if np.isnan(numbers).all():
            raise Refused(f"{told}: expected values, all are missing; {way}")
        return Column(name=name, gaps=bool(np.isnan(numbers).any())), numbers
    gone = values.isna().to_numpy()
    words = values.astype(str).to_numpy(dtype=object)
    there = words[~gone]
    if not len(there):
        raise Refused(f"{told}: expected values, all are missing; {way}")
    distinct = sorted(set(there.tolist()))
    listed = as_category or types.CategoricalDtype.name == getattr(values.dtype, "name", "")
    if not listed and all(DATE.fullmatch(word) for word in distinct):
        raise Refused(
            f"{told}: expected numbers or categories, given dates, as {shown(distinct[0])}; {way}, or make numbers of "
            f"them"
        )
    if not listed and len(distinct) > max(FEW, TEXT * len(there)):
        raise Refused(
            f"{told}: expected numbers or categories, given what looks like text or names, {len(distinct)} different "
            f"values in {len(there)} rows, as {shown(distinct[0])}; {way}, categories = "
            f"[{shown(name)}] takes each for one"
        )
    known = (*distinct, *([MISSING] if gone.any() else []))
    place = {word: number for number, word in enumerate(known)}
    numbers = np.array([place[MISSING if off else word] for word, off in zip(words, gone, strict=True)], np.float64)
    return Column(name=name, values=known), numbers


def _labels(values: pd.Series[Any], target: str, where: str) -> NDArray[Any]:
    from pandas.api import types

    gone = int(values.isna().sum())
    if gone:
        raise Refused(
            f"{where}: expected a class in every row of target {shown(target)}, {gone} of {len(values)} have none; "
            f"leave these rows out"
        )
    if types.is_bool_dtype(values):
        return values.to_numpy(dtype=bool)
    if types.is_integer_dtype(values):
        return values.to_numpy(dtype=np.int64)
    if types.is_float_dtype(values):
        return values.to_numpy(dtype=np.float64)
    return np.array(values.astype(str).to_list(), dtype=np.str_)
