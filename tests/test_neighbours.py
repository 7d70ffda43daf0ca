"""Neighbours among the trials of a search, and draws that keep to them: how far another such search would lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.qmc import Sobol

from regtune.core.halving import Score, Selection, join_number
from regtune.core.neighbours import NEAREST, neighbours
from regtune.core.resampling import draws, pairs
from regtune.core.selection import Scored, choose
from regtune.results.loader import load
from tests.made_up import made_up_log
from tests.resuming import SMALL, ran

RATE = "optimizer.learning_rate"
TRIALS, SEEDS, EXAMPLES = 16, 5, 397


def test_neighbours_are_those_beside_it_on_any_scale() -> None:
    params = {number: {RATE: 10.0 ** -((number * 3) % 7)} for number in range(7)}
    order = sorted(params, key=lambda number: params[number][RATE])
    for number, near in neighbours(params).items():
        k = order.index(number)
        assert near[0] == number
        assert set(near) == set(order[max(0, min(k - 1, 4)) : max(0, min(k - 1, 4)) + NEAREST])


def test_choices_are_as_far_apart_as_the_ends_of_a_range() -> None:
    params = {n: {"optimizer.nesterov": n % 2 == 0, RATE: 0.1 + 0.1 * (n // 2)} for n in range(6)}
    assert all(set(near) == {m for m in params if m % 2 == n % 2} for n, near in neighbours(params).items())


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_every_trial_is_its_own_first_neighbour(rates: list[float]) -> None:
    found = neighbours({number: {RATE: rate} for number, rate in enumerate(rates)})
    assert all(near[0] == number and len(set(near)) == min(NEAREST, len(rates)) for number, near in found.items())


def test_only_points_of_one_sequence_have_neighbours(tmp_path: Path) -> None:
    params = {0: {RATE: 0.001}, 1: {RATE: 0.002}}
    for sampler, near in (("paired", neighbours(params)), ("random", {})):
        terms = {"search": {"sampler": sampler}}
        log = made_up_log(tmp_path / sampler, {"base": (0.5, 0.6)}, search=("ok", "ok"), terms=terms)
        assert load(log).scored.near == near
    assert neighbours({}) == neighbours({0: {}, 1: {}}) == {}, "without a shared knob none lies anywhere"


def scored(seed: int) -> tuple[Scored, Mapping[str, Sequence[float]]]:
    """Return the scores of a search of two arms that differ in their best learning rate, and true accuracies."""
    generator, points = np.random.default_rng(seed), Sobol(2, scramble=True, rng=seed).random(TRIALS)
    truth = {"base": 0.85 - 0.4 * (points[:, 0] - 0.2) ** 2, "arm": 0.86 - 0.4 * (points[:, 0] - 0.6) ** 2}
    searched, selected = {}, {}
    for arm, true in truth.items():
        seen = np.round((true + generator.normal(0, 0.005, TRIALS)) * EXAMPLES) / EXAMPLES
        searched[arm] = [(int(k), Score(float(seen[k]), 1.0)) for k in np.argsort(-seen, kind="stable")]
        selected[arm] = {
            join_number(k, s): Score(float(true[k] + generator.normal(0, 0.005)), 1.0)
            for k in range(TRIALS)
            for s in range(SEEDS)
        }
    terms = Selection(candidates=4, most=8, seeds=SEEDS, examples=EXAMPLES)
    near = neighbours({k: {RATE: float(points[k, 0])} for k in range(TRIALS)})
    made = Scored(searched=searched, selected=selected, selection=terms, can_be_off=[], near=near)
    return made, {arm: true.tolist() for arm, true in truth.items()}


def spread(found: Mapping[tuple[int, int] | None, int], truth: Mapping[str, Sequence[float]]) -> float:
    """Return the variance of the true difference over the pairs of choices that draws have made."""
    gains = [(truth["arm"][pair[0]] - truth["base"][pair[1]], count) for pair, count in found.items() if pair]
    total = sum(count for _, count in gains)
    mean = sum(gain * count for gain, count in gains) / total
    return sum((gain - mean) ** 2 * count for gain, count in gains) / total


def test_draws_among_neighbours_are_nearer_to_what_other_searches_choose() -> None:
    """Independent truth: 40 searches on fresh scrambled points, whose true accuracies are known."""
    chosen, local, anywhere = [], [], []
    for seed in range(40):
        one, truth = scored(seed)
        numbers = choose(one).numbers
        chosen.append(truth["arm"][numbers["arm"]] - truth["base"][numbers["base"]])
        apart = Scored(searched=one.searched, selected=one.selected, selection=one.selection, can_be_off=[])
        local.append(spread(pairs(draws(one, paired=True, stream=str(seed)), "arm", "base"), truth))
        anywhere.append(spread(pairs(draws(apart, paired=True, stream=str(seed)), "arm", "base"), truth))
    true, near, far = np.std(chosen, ddof=1), math.sqrt(np.mean(local)), math.sqrt(np.mean(anywhere))
    assert 0.9 * true < near < far, (true, near, far)


@pytest.mark.parametrize("sampler", ["paired", "random"])
def test_a_log_and_its_schedulers_agree_on_neighbours(tmp_path: Path, sampler: str) -> None:
    """The rivals that a run has trained are those that its tables wait for."""
    text = SMALL.replace('sampler = "random"', f'sampler = "{sampler}"').replace("trials = 2", "trials = 6")
    text = text.replace("seeds = 0", "seeds = 2").replace("weights = false", "weights = false\naa = false")
    results = load(ran(tmp_path, text.replace("seeds = 2\nweights", 'seeds = 3\nscope = "searches"\nweights')))
    assert bool(results.scored.near) == (sampler == "paired")
    assert results.rivals and not results.rivals_open
    trained = {(row["arm"], row["number"]) for row in results.trials.to_dict("records") if row["phase"] == "rivals"}
    assert {(arm, join_number(n, k)) for arm, mine in results.rivals.items() for n in mine for k in range(3)} == trained
