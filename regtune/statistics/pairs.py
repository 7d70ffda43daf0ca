"""Paired differences: what two arms scored on the seeds that both finished."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

Scores = Mapping[str, Mapping[int, float]]  # by arm, then by number of the seed; finished trials only
Pair = tuple[str, str]


def against(scores: Scores, baseline: str) -> dict[str, list[float]]:
    """Return for each other arm its differences (arm - baseline), in the order of the seeds."""
    return {arm: differences(scores, (arm, baseline)) for arm in scores if arm != baseline}


def every_pair(scores: Scores) -> dict[Pair, list[float]]:
    """Return the differences (first - second) of every pair of arms, each pair once, in the order of the arms."""
    return {pair: differences(scores, pair) for pair in combinations(scores, 2)}


def differences(scores: Scores, pair: Pair) -> list[float]:
    """Return first - second of a pair on the seeds that both have, in the order of the seeds."""
    first, second = (scores.get(arm, {}) for arm in pair)
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
