"""Grid search: every combination of a few values of each knob, in a shuffled order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.search_space import Condition
from regtune.samplers._base import Question, Sampler

Levels = Mapping[str, list[Any]]


class Grid(Sampler):
    """Trial i takes point i of the shuffled grid. With more trials than points the grid is repeated with other
    seeds; with fewer, the trials are a random subset of the grid.
    """

    adaptive: ClassVar[bool] = False

    def sample(self, question: Question) -> dict[str, Any]:
        """Take the point of this number."""
        axes = _axes(question.space, question.when, question.levels)
        size = math.prod(sum(option.points for option in axis) for axis in axes.values())
        rest, params = shuffled(question.number % size, size, question.stream), dict[str, Any]()
        for path, axis in axes.items():
            rest, place = divmod(rest, sum(option.points for option in axis))
            params |= _at(path, axis, place)
        return question.answered(params.__getitem__)


class _Option(NamedTuple):
    """A value of a knob without condition, and the levels of those that come into play with it."""

    value: Any
    below: Levels

    @property
    def points(self) -> int:
        return math.prod(map(len, self.below.values()))


def grid_size(space: Mapping[str, BaseDistribution], when: Mapping[str, Condition], count: int) -> int:
    """Return the number of distinct points of a grid: combinations that differ in idle knobs only are one."""
    return math.prod(sum(option.points for option in axis) for axis in _axes(space, when, count).values())


def levels(space: BaseDistribution, count: int) -> list[Any]:
    """Return every choice, or of a range `count` values, evenly or log-evenly, with both ends.

    Whole numbers and steps are met by rounding; where that gives one value twice it is there once.
    """
    if isinstance(space, CategoricalDistribution):
        return list(space.choices)
    if not isinstance(space, FloatDistribution | IntDistribution):
        raise TypeError(f"expected a float, int or categorical distribution, given {space!r}")
    low, high, found = space.low, space.high, []
    for k in range(count):
        share = k / (count - 1)
        value = low * (high / low) ** share if space.log else low + share * (high - low)
        if space.step is not None:
            value = min(low + round((value - low) / space.step) * space.step, high)
        found.append(value)
    return list(dict.fromkeys([*found[:-1], high]))  # the last is free of rounding


def shuffled(place: int, size: int, key: str) -> int:
    """Return where a place among `size` goes: a permutation that the key picks, without writing it down.

    A Feistel network on the next even number of bits, walked until it is back below `size`; a grid may have
    more points than fit in memory.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for turn in range(6):
            digest = blake2b(f"{key}/{turn}/{right}".encode(), digest_size=half // 8 + 1).digest()
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        place = left << half | right
        if place < size:
            return place


def _axes(space: Mapping[str, BaseDistribution], when: Mapping[str, Condition], count: int) -> dict[str, list[_Option]]:
    """Return by path, for each knob that has no condition, its values with what each of them brings."""
    return {
        path: [
            _Option(value, {p: levels(space[p], count) for p, c in when.items() if c.path == path and c.value == value})
            for value in levels(distribution, count)
        ]
        for path, distribution in space.items()
        if path not in when
    }


def _at(path: str, axis: list[_Option], place: int) -> dict[str, Any]:
    """Return the point of an axis at a place: a value and the levels of the knobs below it."""
    for option in axis:
        if place < option.points:
            params = {path: option.value}
            for below, values in option.below.items():
                place, index = divmod(place, len(values))
                params[below] = values[index]
            return params
        place -= option.points
    raise IndexError(f"{path}: expected a place on its axis")
