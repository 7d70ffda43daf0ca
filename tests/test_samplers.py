"""Samplers: each a function of what it is asked; Sobol points and grids by index."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from regtune.core.search_space import Condition
from regtune.samplers import SAMPLERS, frozen
from regtune.samplers._unit import value_at
from regtune.samplers.grid import grid_size, levels, shuffled
from tests.conftest import question, suggested

Space = dict[str, BaseDistribution]
FREE: Space = {f"knob.{name}": FloatDistribution(0.0, 1.0) for name in "abcd"}
MIXED: Space = {
    "a.rate": FloatDistribution(1e-4, 0.3, log=True),
    "b.share": FloatDistribution(0.0, 0.5, step=0.1),
    "c.count": IntDistribution(1, 64, log=True),
    "d.mode": CategoricalDistribution(["fast", "slow", "off"]),
    "e.width": IntDistribution(2, 10, step=2),
    "f.free": FloatDistribution(-1.0, 1.0),
    "g.switch": CategoricalDistribution([False, True]),
    "h.one": CategoricalDistribution([4]),
}
WHEN = {
    "a.rate": Condition(path="g.switch", value=True),
    "b.share": Condition(path="d.mode", value="slow"),
    "c.count": Condition(path="d.mode", value="slow"),
}


def told(space: Space, when: dict[str, Condition], count: int) -> list[Any]:
    rows = []
    for number in range(count):
        params = suggested("random", question(space, when, number=number))
        rows.append(frozen(number, params, [number % 7 / 7], "ok" if number % 3 else "pruned", space))
    return rows


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.all()))
@pytest.mark.parametrize("when", [{}, WHEN], ids=["plain", "conditions"])
def test_the_same_question_has_the_same_answer_and_it_is_plain(sampler: str, when: dict[str, Condition]) -> None:
    history = told(MIXED, when, 12)
    answers = []
    for number in range(12):
        asked = question(MIXED, when, history[:number], number)
        answers.append(suggested(sampler, asked))
        assert suggested(sampler, asked) == answers[-1]
        assert json.loads(json.dumps(answers[-1])) == answers[-1]
        assert list(answers[-1]) == [p for p in MIXED if p not in when or when[p].met(answers[-1])]
        for path, value in answers[-1].items():
            assert MIXED[path]._contains(MIXED[path].to_internal_repr(value))
    assert len({json.dumps(answer) for answer in answers}) == 12


def test_an_arm_that_searches_nothing_gets_nothing() -> None:
    assert all(suggested(name, question({}, number=3)) == {} for name in SAMPLERS.all())


def test_answers_do_not_depend_on_the_hashes_of_words() -> None:
    """Those of this process are those of one with another salt."""
    code = "from tests.test_samplers import *; print(hash('a word'), answers())"
    root, salt = Path(__file__).resolve().parent.parent, "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True,
        env={"PATH": "", "PYTHONHASHSEED": salt, "PYTHONPATH": str(root)},
    ).stdout  # fmt: skip
    salted, _, there = printed.strip().partition(" ")
    assert int(salted) != hash("a word")
    assert there == answers()


def answers() -> str:
    """Return what every sampler suggests after a few trials."""
    asked = question(MIXED, WHEN, told(MIXED, WHEN, 9), 9)
    return json.dumps([suggested(name, asked) for name in sorted(SAMPLERS.all())])


@pytest.mark.parametrize("sampler", ["grid", "paired", "qmc", "random"])
def test_samplers_that_learn_nothing_never_look_at_the_history(sampler: str) -> None:
    def never() -> list[Any]:
        raise AssertionError("looked")

    assert suggested(sampler, dataclasses.replace(question(MIXED, WHEN, number=2), history=never))


# Values from numbers in [0, 1).


def test_equal_lengths_of_the_unit_interval_are_equally_likely() -> None:
    spread = [k / 1000 for k in range(1000)]
    counts = {path: Counter(value_at(MIXED[path], u) for u in spread) for path in ("b.share", "d.mode", "e.width")}
    assert {path: len(count) for path, count in counts.items()} == {"b.share": 6, "d.mode": 3, "e.width": 5}
    assert all(max(count.values()) - min(count.values()) <= 2 for count in counts.values())
    rates = [value_at(MIXED["a.rate"], u) for u in spread]
    assert rates[0] == pytest.approx(1e-4) and rates[500] == pytest.approx(math.sqrt(1e-4 * 0.3))
    wholes = Counter(value_at(MIXED["c.count"], u) for u in spread)
    assert set(wholes) == set(range(1, 65))
    assert wholes[1] == pytest.approx(1000 * math.log(3) / math.log(64.5 / 0.5), abs=2)
    assert [value_at(space, math.nextafter(1, 0)) for space in MIXED.values()][3:5] == ["off", 10]


# Sobol points.


def test_distinct_numbers_give_the_points_of_scipys_own_sequence() -> None:
    points = [list(suggested("qmc", question(FREE, number=number)).values()) for number in range(64)]
    theirs = qmc.Sobol(4, scramble=True, rng=zlib.crc32(b"sweep/0/arm")).random(64)
    assert np.array_equal(points, theirs)
    assert len({tuple(point) for point in points}) == 64
    other = dataclasses.replace(question(FREE, number=5), stream="sweep/0/other")
    assert list(suggested("qmc", other).values()) != points[5]


def test_sobol_points_are_spread_better_than_random_ones() -> None:
    spread = {
        name: qmc.discrepancy([list(suggested(name, question(FREE, number=n)).values()) for n in range(128)])
        for name in ("qmc", "random")
    }
    assert spread["qmc"] < spread["random"] / 5


def test_a_knob_out_of_play_leaves_the_points_of_the_others_alone() -> None:
    for number in range(16):
        everything = suggested("qmc", question(MIXED, number=number))
        some = suggested("qmc", question(MIXED, WHEN, number=number))
        assert some.items() <= everything.items()


# Grids.


def test_levels_are_spread_over_the_range_with_both_ends() -> None:
    assert levels(FloatDistribution(0.0, 1.0), 3) == [0.0, 0.5, 1.0]
    assert levels(FloatDistribution(1e-4, 1.0, log=True), 3) == pytest.approx([1e-4, 1e-2, 1.0])
    assert levels(FloatDistribution(0.0, 0.5, step=0.1), 3) == pytest.approx([0.0, 0.2, 0.5])
    assert levels(FloatDistribution(0.0, 0.2, step=0.1), 5) == pytest.approx([0.0, 0.1, 0.2])
    assert levels(IntDistribution(1, 3), 9) == [1, 2, 3]
    assert levels(IntDistribution(1, 100, log=True), 3) == [1, 10, 100]
    assert levels(IntDistribution(2, 10, step=4), 4) == [2, 6, 10]
    assert levels(CategoricalDistribution([False, True]), 5) == [False, True]
    assert all(type(level) is int for level in levels(IntDistribution(1, 100, log=True), 7))


@given(size=st.integers(1, 3000), key=st.text(max_size=5))
@settings(max_examples=30, deadline=None)
def test_the_shuffle_is_a_permutation(size: int, key: str) -> None:
    assert sorted(shuffled(place, size, key) for place in range(size)) == list(range(size))


def test_the_shuffle_is_one_and_another_for_another_key() -> None:
    orders = [[shuffled(place, 200, key) for place in range(200)] for key in ("a", "b")]
    assert orders[0] != orders[1] and orders[0] != list(range(200))
    firsts = [shuffled(0, 10, str(key)) for key in range(2000)]
    assert all(150 < firsts.count(place) < 250 for place in range(10))
    assert 0 <= shuffled(3, 10**40, "large") < 10**40


KNOBS: st.SearchStrategy[BaseDistribution] = st.one_of(
    st.builds(CategoricalDistribution, st.sampled_from([("a",), (False, True), ("x", "y", "z")])),
    st.builds(FloatDistribution, st.just(0.1), st.floats(0.2, 9), log=st.booleans()),
    st.builds(FloatDistribution, st.just(0.0), st.sampled_from([0.2, 0.5, 1.0]), step=st.just(0.1)),
    st.builds(IntDistribution, st.just(1), st.integers(1, 40), log=st.booleans()),
    st.builds(IntDistribution, st.just(0), st.sampled_from([0, 4, 8]), step=st.sampled_from([1, 2, 4])),
)


@st.composite
def arms(draw: st.DrawFn) -> tuple[Space, dict[str, Condition]]:
    """Return a space of up to two choices, and knobs of which some depend on them."""
    space: Space = {
        f"{name}.one_of": CategoricalDistribution(choices)
        for name, choices in (("p", ("none", "m0", "m1")), ("q", (False, True)))
        if draw(st.booleans())
    }
    conditions: list[Condition | None] = [None]
    for path, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            conditions += [Condition(path=path, value=c) for c in distribution.choices if c != "none"]  # type: ignore[arg-type]  # ours are words and booleans
    when = {}
    for number in range(draw(st.integers(0, 4))):
        space[f"m.{number}"] = draw(KNOBS)
        if (condition := draw(st.sampled_from(conditions))) is not None:
            when[f"m.{number}"] = condition
    return space, when


@given(arm=arms(), count=st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_a_full_pass_covers_each_point_of_the_grid_once(arm: tuple[Space, dict[str, Condition]], count: int) -> None:
    space, when = arm
    size = grid_size(space, when, count)
    answers = [suggested("grid", question(space, when, number=n, levels=count)) for n in range(size)]
    expected = set()
    for values in itertools.product(*(levels(distribution, count) for distribution in space.values())):
        params = dict(zip(space, values, strict=True))
        expected.add(tuple((p, v) for p, v in params.items() if p not in when or when[p].met(params)))
    assert {tuple(answer.items()) for answer in answers} == expected
    assert size == len(expected)
    assert suggested("grid", question(space, when, number=size, levels=count)) == answers[0]


def test_the_grid_of_many_knobs_is_never_written_down() -> None:
    space: Space = {f"m.{number}": FloatDistribution(0.0, 1.0) for number in range(60)}
    assert grid_size(space, {}, 5) == 5**60
    assert len(suggested("grid", question(space, number=9, levels=5))) == 60


@pytest.mark.parametrize("number", [0, 1, 255, 256, 257, 1000])
def test_a_paired_trial_has_the_point_of_its_number_whatever_is_drawn_at_once(number: int) -> None:
    engine = qmc.Sobol(256, scramble=True, rng=zlib.crc32(b"sweep/0"))
    if number:
        engine.fast_forward(number)
    (point,) = engine.random(1)
    assert list(suggested("paired", question(FREE, number=number)).values()) == point[:4].tolist()
