"""What the same sweep might have chosen instead: the rule of choice on resampled trials.

A search is one draw: other trials would have led to another choice, and seeds for the choice that it led to do not
show how far that lies. So its trials are drawn again, with replacement, from those that there are, and the seeds of
select likewise, and the rule chooses again in each draw (bootstrap: B. Efron, "Bootstrap Methods: Another Look at the
Jackknife", 1979; of tuning: X. Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks", 2021).
Points of a low-discrepancy sequence are no independent draws: where one search has tried a learning rate, another
has tried one close by. So of those each trial is replaced by one of its neighbours, as in the local bootstrap of
dependent data (E. Paparoditis, D. N. Politis, "The Local Bootstrap for Markov Processes", 2002).
Points that a person has named are in every such search: the same person would have named them again.
That says nothing where trials depend on the scores of others: a sampler that learns, or a pruner that ranks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from regtune.core.copies import is_copy
from regtune.core.halving import Score, join_number, split_number
from regtune.core.selection import Choices, Scored, choose

DRAWS = 200
MOST = 3  # rivals of an arm that are confirmed
LEAST = 0.05  # share of the draws that a rival has won
SEEDS = 5  # confirm seeds of a rival, if there are as many

# In a draw: the search trials that an arm and the baseline have chosen, None where the arm is off.
Pair = tuple[int, int] | None


def draws(scored: Scored, *, paired: bool, stream: str) -> list[Choices]:
    """Return the choices of `DRAWS` resampled searches; the same for the same `stream`.

    Where trials are `paired` over arms they are drawn together, else for each arm by itself; in place of each stands
    one of those `near` it, where the scores say which are, else one of all. A hidden copy of the
    baseline, see `copies`, has a stream of its own: what is drawn for arms does not depend on it.
    """
    if scored.selection is None:
        return []
    arms, apart = random.Random(stream), random.Random(f"{stream}/copy")  # noqa: S311 - they guard no secret
    return [choose(_drawn(scored, paired, arms, apart)) for _ in range(DRAWS)]


def pairs(found: Sequence[Choices], arm: str, baseline: str) -> Counter[Pair]:
    """Return in how many draws an arm and the baseline have chosen which trials; a draw without both is left out."""
    counts: Counter[Pair] = Counter()
    for each in found:
        if arm in each.off:
            counts[None] += 1
        elif arm in each.numbers and baseline in each.numbers:
            counts[each.numbers[arm], each.numbers[baseline]] += 1
    return counts


def rivals(found: Sequence[Choices], chosen: Choices) -> dict[str, list[int]]:
    """Return of each arm with a choice of its own the trials that were chosen instead of it most often, at most
    `MOST`, each in a share `LEAST` of the draws or more.
    """
    needed: dict[str, list[int]] = {}
    for arm, number in chosen.numbers.items():
        if arm in chosen.off:
            continue
        wins = Counter(each.numbers[arm] for each in found if arm in each.numbers and arm not in each.off)
        others = sorted((n for n in wins if n != number and wins[n] >= LEAST * len(found)), key=lambda n: (-wins[n], n))
        needed[arm] = others[:MOST]
    return needed


def rival_seeds(seeds: int, first: int | None) -> int:
    """Return on how many of the first of these `seeds` rivals are confirmed.

    In a race, which first looks at arms after `first` of them, these are seeds that every arm has by then.
    """
    return min(SEEDS, seeds if first is None else first, seeds)


def _drawn(scored: Scored, paired: bool, arms: random.Random, apart: random.Random) -> Scored:
    selection = scored.selection
    if selection is None:
        raise TypeError("expected a sweep with a select")
    numbers = {number for arm, mine in scored.searched.items() if not is_copy(arm) for number, _ in mine}
    trials = range(max(numbers, default=-1) + 1)
    shared = {number: arms.choice(scored.near.get(number, trials)) for number in trials}
    further = {generator: generator.choices(range(selection.seeds), k=selection.seeds) for generator in (arms, apart)}
    searched, selected = {}, {}
    for arm, mine in scored.searched.items():
        generator = apart if is_copy(arm) else arms
        # The first trials may be points that were named: none is left out, and none stands for one that was drawn.
        named = scored.first.get(arm, 0)
        own = trials[named:]
        if paired:
            present = {shared[number] if shared[number] >= named else number for number in own}
        else:
            present = {generator.choice(scored.near.get(number, own)) for number in own}
        present |= set(trials[:named])
        # Only finalists have scores of select; the others lost against them by one score.
        finalists = selection.finalists(mine)
        searched[arm] = [(number, score) for number, score in mine if number in finalists and number in present]
        selected[arm] = _on_seeds(scored.selected.get(arm, {}), further[generator])
    return replace(scored, searched=searched, selected=selected)


def _on_seeds(scores: Mapping[int, Score], seeds: Sequence[int]) -> dict[int, Score]:
    """Return the scores of select on seeds drawn again; a trial that was out early has only its first ones to give."""
    have: dict[int, list[int]] = {}
    for number in sorted(scores):
        have.setdefault(split_number(number)[0], []).append(number)
    return {
        join_number(number, k): scores[mine[seed % len(mine)]]
        for number, mine in have.items()
        for k, seed in enumerate(seeds)
    }
