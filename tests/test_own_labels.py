"""Labels of an .npz as people keep them: strings, booleans, whole floats, one-hot rows, numbers from 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from regtune.core.errors import Refused
from regtune.data import DataLocation, Pool
from regtune.data._labels import read_labels
from tests.originals import bytes_of
from tests.test_own_data import npz
from tests.test_published_data import refusal

WORDS = ["dog", "cat", "bird", "cat", "dog", "bird"]
SORTED = [2, 1, 0, 1, 2, 0]  # their places in bird, cat, dog
KINDS: dict[str, tuple[NDArray[Any], list[int], tuple[str, ...]]] = {
    "strings": (np.array(WORDS), SORTED, ("bird", "cat", "dog")),
    "bytes": (np.array(WORDS, dtype="S"), SORTED, ("bird", "cat", "dog")),
    "strings beyond ASCII": (np.array(["mésange", "Æ"] * 3), [0, 1] * 3, ("mésange", "Æ")),
    "numerals": (np.array(["10", "9"] * 3), [0, 1] * 3, ("10", "9")),
    "booleans": (np.array([True, False] * 3), [1, 0] * 3, ("False", "True")),
    "whole floats": (np.array(SORTED, dtype=np.float32), SORTED, ()),
    "unsigned bytes": (np.array(SORTED, dtype=np.uint8), SORTED, ()),
    "one-hot whole numbers": (np.eye(3, dtype=np.int32)[SORTED], SORTED, ()),
    "one-hot floats": (np.eye(3)[SORTED], SORTED, ()),
    "one-hot booleans": (np.eye(3, dtype=bool)[SORTED], SORTED, ()),
    "from 1": (np.array(SORTED) + 1, SORTED, ("1", "2", "3")),
    "whole floats from 1": (np.array(SORTED) + 1.0, SORTED, ("1", "2", "3")),
}


def pool_of(root: Path, **arrays: Any) -> Pool:
    return npz(root, **arrays).pool(DataLocation(root=root))


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind(kind: str, tmp_path: Path) -> None:
    labels, numbers, names = KINDS[kind]
    x = bytes_of(0, 6, 4, 4)
    pool = pool_of(tmp_path, x=x, y=labels, x_test=x[:4], y_test=labels[:4])
    assert pool.test is not None
    assert pool.train.labels.tolist() == numbers
    assert pool.test.labels.tolist() == numbers[:4]
    assert pool.classes == max(numbers) + 1
    assert pool.names == names
    said = ("y is numbered from 1: classes 1 to 3 are trained as 0 to 2",)
    assert pool.notes == (said if "from 1" in kind else ())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.sampled_from([0, 1]))
def test_kinds_agree_on_any_labels(drawn: list[int], start: int) -> None:
    """Whatever is drawn becomes classes without gaps; every way to write them down gives the same numbers."""
    numbers = np.unique(drawn, return_inverse=True)[1].reshape(-1)
    if start and len(set(drawn)) == 1:
        start = 0  # a single class 1 may be either
    classes = int(numbers.max()) + 1
    ways: list[NDArray[Any]] = [numbers + start, (numbers + start).astype(np.float64)]
    ways += [np.array([f"class {n}" for n in numbers])]
    ways += [np.eye(classes)[numbers]] if classes > 1 else []
    for way in ways:
        train, test = read_labels(way, way[:1], "here")
        assert train.numbers.tolist() == numbers.tolist()
        assert test is not None
        assert test.numbers.tolist() == numbers[:1].tolist()
        assert train.classes == classes


X = bytes_of(0, 6, 4, 4)
ONES = np.eye(3)[SORTED]
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "half": ({"y": np.array([0, 1, 1.5, 0, 2.5, 1])}, "given 2 of 6 that are none, the first 1.5 at y[2]"),
    "not a number": (
        {"y": np.array([0, 1, 0, np.nan, 1, np.inf])},
        "given 2 of 6 values that are, the first nan at y[3]",
    ),
    "beyond floats": ({"y": np.array([0, 1, 1e300, 0, 1, 1])}, "the first 1e+300 at y[2]"),
    "two ones": ({"y": ONES + np.eye(3)[[2, 0, 0, 1, 2, 0]]}, "the first at y[0]: [0.0, 0.0, 2.0]"),
    "a row of zeros": (
        {"y": ONES * (np.arange(6) != 4)[:, None]},
        "given 1 of 6 others, the first at y[4]: [0.0, 0.0, 0.0]",
    ),
    "soft rows": ({"y": np.full((6, 2), 0.5)}, "expected one-hot rows, a single 1 and else 0"),
    "an unused column": (
        {"y": np.eye(4)[SORTED]},
        "every class from 0 to 3 in y, class 3 has no example; leave out column 3",
    ),
    "the first column unused": ({"y": np.eye(4)[np.array(SORTED) + 1]}, "class 0 has no example"),
    "a gap from 1": ({"y": np.array([1, 2, 4, 1, 2, 4])}, "every class from 1 to 4 in y, class 3 has no example"),
    "from 2": ({"y": np.array(SORTED) + 2}, "every class from 0 to 4 in y, class 0 has no example"),
    "dates": ({"y": np.arange(6).astype("datetime64[D]")}, "given datetime64[D] [6]"),
    "not UTF-8": ({"y": np.array([b"\xff", b"a"] * 3)}, "expected y as strings in UTF-8"),
    "too large": ({"y": np.array([0, 2**64 - 1] * 3, dtype=np.uint64)}, "class 1 has no example"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_of_no_use_are_refused(case: str, tmp_path: Path) -> None:
    arrays, words = REFUSED[case]
    assert words in refusal(npz(tmp_path, x=X, **arrays), tmp_path)


UNLIKE: dict[str, tuple[Any, Any, str]] = {
    "an unknown word": (np.array(WORDS), np.array(["cta"] * 6), "given 'cta' (did you mean 'cat'?)"),
    "words and numbers": (
        np.array(WORDS),
        np.array(SORTED),
        "expected y and y_test of one kind, given <U4 [6] and int64 [6]",
    ),
    "rows of other widths": (ONES, np.eye(4)[SORTED], "expected y and y_test of one kind"),
    "beyond the last": (np.array(SORTED) + 1, np.array([1, 4] * 3), "expected test labels from 1 to 3, given 1 to 4"),
    "below the first": (np.array(SORTED), np.array([-1, 1] * 3), "expected test labels from 0 to 2, given -1 to 1"),
    "a 0 in test only": (np.array(SORTED) + 1, np.array([0, 1] * 3), "class 0 has no example"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_test_labels_that_are_not_those_of_training_are_refused(case: str, tmp_path: Path) -> None:
    y, y_test, words = UNLIKE[case]
    assert words in refusal(npz(tmp_path, x=X, y=y, x_test=X, y_test=y_test), tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_values_that_are_not_finite_are_counted_and_placed(value: float, kind: type, tmp_path: Path) -> None:
    x: NDArray[Any] = np.full((6, 4, 4, 3), 0.5, kind)
    x[2, 1, 3, 0] = x[5, 0, 0, 2] = value
    said = refusal(npz(tmp_path, x=X, y=np.array(SORTED), x_test=x, y_test=np.array(SORTED)), tmp_path)
    assert f"expected x_test without NaN and infinity, given 2 of 288 values that are, the first {value} at " in said
    assert "x_test[2, 1, 3, 0]; mend them or leave these examples out" in said


def test_objects_are_refused_with_a_way_to_make_strings_of_them(tmp_path: Path) -> None:
    said = refusal(npz(tmp_path, x=X, y=np.array(WORDS, dtype=object)), tmp_path)
    assert "astype(str) makes strings of objects" in said


def test_labels_are_numbers_without_a_pool_too() -> None:
    with pytest.raises(Refused, match=r"^here: expected y as whole numbers \[N\]"):
        read_labels(np.zeros((2, 2, 2)), None, "here")
