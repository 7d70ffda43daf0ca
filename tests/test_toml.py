"""Sweep files that are written are read back as what they were written from."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.sweep.writing import as_toml

PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
VALUES = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=6
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_written_is_read_back(tables: dict[str, Any]) -> None:
    assert tomllib.loads(as_toml(tables)) == tables


def test_it_reads_like_a_sweep_file() -> None:
    text = as_toml({"seed": 3, "arms": {"baseline": {}, "dropout": {"dropout": {"p_hidden": 0.5}}}, "plugins": ["a"]})
    assert text == 'seed = 3\nplugins = ["a"]\n\n[arms]\nbaseline = {}\ndropout = { dropout = { p_hidden = 0.5 } }\n'


def test_numbers_of_numpy_are_numbers() -> None:
    assert as_toml({"rate": np.float64(0.1)}) == "rate = 0.1\n"


@pytest.mark.parametrize("name", ["a\n", "a\nb", "", "ä"])
def test_a_name_that_is_no_bare_word_is_quoted(name: str) -> None:
    assert tomllib.loads(as_toml({name: 1, "table": {name: 2}})) == {name: 1, "table": {name: 2}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, object(), {1: 2}])
def test_what_no_file_can_say_is_refused(value: object) -> None:
    with pytest.raises(Refused, match=r"^(data\.x|sweep): expected "):
        as_toml({"data": {"x": value}})
