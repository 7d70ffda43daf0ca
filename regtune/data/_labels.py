"""Labels as people keep them: whole numbers, strings, booleans, whole floats, one-hot rows; numbered from 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regtune.core.errors import Refused, nearest, shown

Array = NDArray[Any]
_EXACT = 2**53  # above it floats skip whole numbers
_TRUTH = ("False", "True")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """`numbers` [N] (int64) from 0 to one below the count of `classes`, their names, and what was done, in a line."""

    numbers: NDArray[np.int64]
    classes: int
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Column:
    """Labels of a split as numbers or strings [N]; `width` is that of one-hot rows, 0 for others."""

    values: Array
    width: int = 0
    truth: bool = False


def read_labels(y: Array, y_test: Array | None, where: str) -> tuple[Labels, Labels | None]:
    """Return the labels of both splits, numbered alike; raises Refused for others than these.

    Strings are classes in the order of their names, False and True 0 and 1; one-hot rows are [N, classes]. Numbers
    may begin at 0 or at 1, and every class of them has an example in `y`.
    """
    column = _column(y, "y", where)
    test = None if y_test is None else _column(y_test, "y_test", where)
    if test is not None and (test.values.dtype.kind == "U", test.width) != (
        column.values.dtype.kind == "U",
        column.width,
    ):
        raise Refused(
            f"{where}: expected y and y_test of one kind, given {y.dtype} {list(y.shape)} and "
            f"{y_test.dtype if y_test is not None else ''} {list(test.values.shape)}; make them alike"
        )
    values = np.unique(column.values)
    if column.values.dtype.kind == "U":
        train = Labels(
            numbers=_places(values, column.values), classes=len(values), names=tuple(map(str, values.tolist()))
        )
        unknown = [] if test is None else sorted(set(test.values.tolist()) - set(values.tolist()))
        if unknown:
            hint = nearest(unknown[0], train.names)
            raise Refused(f"{where}: expected the classes of y in y_test too, given {shown(unknown[0])}{hint}")
        return train, None if test is None else replace(train, numbers=_places(values, test.values))
    others = [] if test is None else [int(test.values.min()), int(test.values.max())]
    low, high = _bounds(values, others, column.width, where)
    if others and not low <= others[0] <= others[1] <= high:
        raise Refused(f"{where}: expected test labels from {low} to {high}, given {others[0]} to {others[1]}")
    train = Labels(numbers=(column.values - low).astype(np.int64), classes=high - low + 1)
    if column.truth:
        train = replace(train, names=_TRUTH)
    if low:
        said = f"y is numbered from 1: classes 1 to {high} are trained as 0 to {high - 1}"
        train = replace(train, names=tuple(str(name) for name in range(1, high + 1)), notes=(said,))
    return train, None if test is None else replace(train, numbers=(test.values - low).astype(np.int64))


def _bounds(values: Array, others: list[int], width: int, where: str) -> tuple[int, int]:
    """Return the lowest and the highest class, given those that there are, sorted; raises Refused for gaps."""
    if values[0] < 0:
        raise Refused(f"{where}: expected y from 0, given {int(values[0])}; number the classes from 0")
    low = 1 if values[0] == 1 and not width and 0 not in others else 0
    high = width - 1 if width else int(values[-1])
    if len(values) < high - low + 1:
        gap = next(place for place, value in enumerate([*values.tolist(), None], start=low) if value != place)
        way = f"leave out column {gap}" if width else "number the classes from 0 without gaps"
        raise Refused(f"{where}: expected every class from {low} to {high} in y, class {gap} has no example; {way}")
    return low, high


def _places(values: Array, wanted: Array) -> NDArray[np.int64]:
    return np.searchsorted(values, wanted).astype(np.int64)


def _column(labels: Array, name: str, where: str) -> _Column:
    kind = labels.dtype.kind
    if labels.ndim == 2 and kind in "biuf" and labels.shape[1] > 1:
        return _Column(values=_hot(labels, name, where), width=labels.shape[1])
    if labels.ndim != 1 or kind not in "biufUS":
        raise Refused(
            f"{where}: expected {name} as whole numbers [N], one for each image, strings [N] or one-hot rows "
            f"[N, classes], given {labels.dtype} {list(labels.shape)}"
            + (f"; {name}[:, 0] is such a column" if labels.ndim == 2 and labels.shape[1] == 1 else "")
        )
    if kind == "U":
        return _Column(values=labels)
    if kind == "S":
        try:
            return _Column(values=np.char.decode(labels, "utf-8"))
        except UnicodeDecodeError as error:
            raise Refused(f"{where}: expected {name} as strings in UTF-8, given {shown(error.object)}") from error
    if kind == "f":
        check_finite(labels, name, where)
        broken = np.flatnonzero((labels != np.floor(labels)) | (np.abs(labels) > _EXACT))
        if len(broken):
            raise Refused(
                f"{where}: expected {name} as whole numbers, given {len(broken)} of {len(labels)} that are none, "
                f"the first {float(labels[broken[0]]):g} at {name}[{broken[0]}]"
            )
        return _Column(values=labels.astype(np.int64))
    return _Column(values=labels.astype(np.int64) if kind == "b" else labels, truth=kind == "b")


def _hot(rows: Array, name: str, where: str) -> NDArray[np.int64]:
    """Return the place of the one in every row; raises Refused for rows that are not one-hot."""
    if rows.dtype.kind == "f":
        check_finite(rows, name, where)
    sound = ((rows == 0) | (rows == 1)).all(1) & ((rows == 1).sum(1) == 1)
    broken = np.flatnonzero(~sound)
    if len(broken):
        raise Refused(
            f"{where}: expected one-hot rows, a single 1 and else 0, given {len(broken)} of {len(rows)} others, the "
            f"first at {name}[{broken[0]}]: {shown(rows[broken[0]].tolist())}; give whole numbers [N]"
        )
    numbers: NDArray[np.int64] = rows.argmax(1).astype(np.int64)
    return numbers


def check_finite(values: NDArray[Any], name: str, where: str) -> None:
    """Raise Refused for NaN or infinity in an array of floats of that name."""
    broken = ~np.isfinite(values)
    if not broken.any():
        return
    first = np.unravel_index(int(broken.argmax()), values.shape)
    raise Refused(
        f"{where}: expected {name} without NaN and infinity, given {int(broken.sum())} of {values.size} values that "
        f"are, the first {float(values[first])} at {name}[{', '.join(str(int(place)) for place in first)}]; "
        f"mend them or leave these examples out"
    )
