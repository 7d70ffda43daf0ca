"""Does racing cheat, and what does it save? By simulation; one process, no training.

    python benchmarks/racing.py [--sweeps 2000] [--first 5] [--most 20]

1. Null sweeps of 8 equal arms, raced: the share of sweeps with any false verdict, for scores that are normal, that
   are accuracies on 359 examples (at 97 % and at 99.5 %, where ties abound), and that are all tied.
2. The same over searches: of each arm, searches choose one of 4 configurations, each with a share of them (Dirichlet,
   2 each) and a mean that differs from the others' by a standard deviation of so many sd of a seed's score; the choice
   is drawn by these shares, and the variance over choices estimated on 5 seeds of all four. The configurations are
   draws themselves, which the variance over these four does not show. Nothing is held here, which can only add false
   verdicts; seeds and arms held are those of the first sweeps, by the rule itself. Beside it the same race with the
   noise of these seeds taken off the variance, and equal seeds with it taken off (as `comparisons` does). Then with
   arms that are better, by so many sd.
3. Sweeps of 8 arms, 0.1 to 0.5 points from the baseline in equal steps, sd 0.13: seeds spent by racing over those
   of equal allocation with the same share of pairs resolved.

The rule is that of `regtune.statistics.racing`, vectorised here over sweeps; the first sweeps of each kind are
also raced by the rule itself, which must ask for the same seeds and give the same verdicts.
"""

from __future__ import annotations

import argparse
import gc
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regtune.statistics.racing import Race
from regtune.statistics.search_variance import search_variance

Array = NDArray[np.float64]
ARMS, SD = 8, 0.13
GAPS = np.concatenate([[0.0], np.linspace(0.1, 0.5, ARMS - 1)])
CHECKED = 50
CONFIGURATIONS = 4
APART = (0.0, 0.2, 0.4, 0.7, 1.0, 2.0)
ALPHA = 0.05


def p_values(differences: Array, beyond: Array | float = 0.0) -> Array:
    """Return two-sided paired t-tests over the last axis, with a variance `beyond`; 1 where nothing varies."""
    n = differences.shape[-1]
    flat = np.ptp(differences, axis=-1) <= 1e-12
    sem = np.where(flat, 1.0, np.sqrt(differences.var(axis=-1, ddof=1) / n + beyond))
    return np.where(flat, 1.0, 2 * stats.t.sf(np.abs(differences.mean(axis=-1)) / sem, n - 1))


def holm(ps: Array) -> Array:
    """Return Holm's adjusted p-values over the last axis."""
    order, m = np.argsort(ps, axis=-1), ps.shape[-1]
    ranked = np.take_along_axis(ps, order, axis=-1) * (m - np.arange(m))
    adjusted = np.empty_like(ps)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(ranked, axis=-1), 1.0), axis=-1)
    return adjusted


def race(rule: Race, scores: Array, beyond: Array | float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Race sweeps [sweep, arm, seed]; return which pairs [sweep, arm - 1] are resolved and the seeds of each arm."""
    differences = scores[:, 1:] - scores[:, :1]
    waiting = np.ones(differences.shape[:2], dtype=bool)
    current, seeds = np.ones(waiting.shape), np.zeros(scores.shape[:2], dtype=np.int64)
    past: list[tuple[Array, Array]] = []
    for count, share in zip(rule.looks, rule.shares, strict=True):
        seeds[:, 1:][waiting] = count
        seeds[waiting.any(axis=1) | (count == rule.looks[0]), 0] = count
        so_far = differences[..., :count]
        sign = np.sign(so_far.mean(axis=-1))
        past.append((p_values(so_far, beyond) / share, sign))
        least = np.minimum(1.0, np.min([np.where(s == sign, p, 1.0) for p, s in past], axis=0))
        current = np.where(waiting, least, current)
        waiting &= holm(current) > ALPHA
    return ~waiting, seeds


def check(rule: Race, scores: Array) -> None:
    """Race the first sweeps by the rule itself; raise AssertionError where it decides otherwise."""
    resolved, seeds = race(rule, scores)
    for number in range(min(CHECKED, len(scores))):
        ended: dict[str, dict[int, float | None]] = {str(arm): {} for arm in range(ARMS)}
        while True:
            asked = rule.seeds(ended)
            given = {arm: dict(enumerate(scores[number, int(arm), :n].tolist())) for arm, n in asked.items()}
            if given == ended:
                break
            ended = {arm: dict(values) for arm, values in given.items()}
        verdicts = [result.verdict != "unresolved" for result in rule.compare(ended).values()]
        assert list(asked.values()) == seeds[number].tolist()
        assert verdicts == resolved[number].tolist()


def null(rule: Race, sweeps: int, draws: np.random.Generator) -> None:
    """Print the share of null sweeps with any false verdict."""
    shape = (sweeps, ARMS, rule.most)
    kinds: dict[str, Callable[[], Array]] = {
        "normal": lambda: draws.standard_normal(shape),
        "359 examples, 97.0 %": lambda: draws.binomial(359, 0.97, shape) / 359,
        "359 examples, 99.5 %": lambda: draws.binomial(359, 0.995, shape) / 359,
        "all tied": lambda: np.full(shape, 0.97),
    }
    for name, draw in kinds.items():
        scores = draw()
        check(rule, scores)
        false = race(rule, scores)[0].any(axis=1)
        print(f"null, {name}: any false verdict in {100 * false.mean():.2f} % of {sweeps} sweeps", flush=True)


def over_searches(rule: Race, sweeps: int, draws: np.random.Generator, apart: float, gap: float = 0.0) -> None:
    """Print the share of sweeps of equal arms with any verdict over searches; with a `gap`, that of pairs resolved."""
    shares = draws.dirichlet([2.0] * CONFIGURATIONS, (sweeps, ARMS))
    scores = apart * draws.standard_normal((*shares.shape, 1)) + draws.standard_normal((*shares.shape, rule.most))
    scores[:, 1:] += gap
    numbers = (shares.cumsum(axis=-1) > draws.random((sweeps, ARMS, 1))).argmax(axis=-1)
    chosen = np.take_along_axis(scores, numbers[..., None, None], axis=2)[:, :, 0]
    pairs = scores[:, 1:, :, None, : rule.first] - scores[:, :1, None, :, : rule.first]
    weights = shares[:, 1:, :, None] * shares[:, :1, None, :]
    plain, corrected = variances(weights, pairs, corrected=False), variances(weights, pairs, corrected=True)
    equal = holm(p_values(chosen[:, 1:] - chosen[:, :1], corrected)) <= ALPHA
    found = [race(rule, chosen, plain)[0], race(rule, chosen, corrected)[0], equal]
    spent, held = check_over_searches(rule, chosen, plain, found[0])
    raced, taken_off, same = (100 * (each.mean() if gap else each.any(axis=1).mean()) for each in found)
    what = f"over searches, {apart:g} sd apart, gap {gap:g} sd: {'resolved' if gap else 'any false verdict'}"
    print(
        f"{what} {raced:.2f} % of {sweeps} sweeps{' x arms' if gap else ''}; noise taken off {taken_off:.2f} %, equal "
        f"seeds and noise taken off {same:.2f} %; {spent:.0f} of {ARMS * rule.most} seeds, {held:.1f} of {ARMS - 1} "
        f"arms held",
        flush=True,
    )


def variances(weights: Array, pairs: Array, *, corrected: bool) -> Array:
    """Return the variance over choices of each pair, [sweep, arm - 1], by the function that tables use."""
    found = np.empty(weights.shape[:2])
    for place in np.ndindex(found.shape):
        differences = pairs[place].reshape(weights[place].size, -1)
        found[place] = search_variance(weights[place].ravel().tolist(), differences.tolist(), corrected=corrected)
    return found


def check_over_searches(rule: Race, chosen: Array, beyond: Array, resolved: NDArray[np.bool_]) -> tuple[float, float]:
    """Race the first sweeps by the rule itself, which holds pairs; return the seeds and pairs held of a sweep.

    Raise AssertionError where it resolves what the race in which nothing is held does not.
    """
    spent, held = 0, 0
    for number in range(min(CHECKED, len(chosen))):
        ended = {str(arm): dict(enumerate(mine.tolist())) for arm, mine in enumerate(chosen[number])}
        known = {str(arm + 1): float(value) for arm, value in enumerate(beyond[number])}
        verdicts = [result.verdict != "unresolved" for result in rule.compare(ended, known).values()]
        assert not any(mine and not all_ for mine, all_ in zip(verdicts, resolved[number].tolist(), strict=True))
        spent += sum(rule.seeds(ended, known).values())
        held += len(rule.held(ended, known))
    return spent / min(CHECKED, len(chosen)), held / min(CHECKED, len(chosen))


def saved(first: int, sweeps: int, draws: np.random.Generator) -> None:
    """Print for several most seeds what racing resolves and spends, and equal allocation with the same power."""
    longest = 200
    scores = GAPS[:, None] + SD * draws.standard_normal((sweeps, ARMS, longest))
    equal = {}
    for count in range(3, longest + 1):
        equal[count] = float((holm(p_values(scores[:, 1:, :count] - scores[:, :1, :count])) <= ALPHA).mean())
        if equal[count] == 1:
            break
    check(Race(first=first, most=40), scores)
    for most in (10, 20, 30, 40, 50, 60, 80):
        resolved, seeds = race(Race(first=first, most=most), scores)
        power, spent = float(resolved.mean()), float(seeds.sum(axis=1).mean())
        (below, low), (above, high) = next(
            pair for pair in itertools.pairwise(equal.items()) if pair[1][1] >= power or pair[1][0] == max(equal)
        )
        same = ARMS * (below + (above - below) * min(max((power - low) / (high - low), 0.0), 1.0))
        print(
            f"gaps 0.1 to 0.5, sd 0.13, most {most}: {100 * power:.1f} % of pairs resolved with {spent:.0f} seeds; "
            f"equal allocation takes {same:.0f}: ratio {spent / same:.2f}; "
            f"the same most given to all: {ARMS * most} seeds, {100 * equal.get(most, 1.0):.1f} %",
            flush=True,
        )


def main() -> None:
    """Run all simulations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=2000)
    parser.add_argument("--first", type=int, default=5)
    parser.add_argument("--most", type=int, nargs="+", default=[10, 20, 40])
    arguments = parser.parse_args()
    gc.collect = lambda generation=2: 0  # statsmodels collects garbage in every correction
    draws = np.random.default_rng(0)
    for most in arguments.most:
        rule = Race(first=arguments.first, most=most)
        print(f"first {rule.first}, most {rule.most}: looks {rule.looks}")
        null(rule, arguments.sweeps, draws)
        for apart in APART:
            over_searches(rule, arguments.sweeps, draws, apart)
        for apart, gap in ((0.0, 1.5), (0.0, 3.0), (0.4, 3.0)):
            over_searches(rule, arguments.sweeps, draws, apart, gap)
    saved(arguments.first, arguments.sweeps, draws)


if __name__ == "__main__":
    main()
