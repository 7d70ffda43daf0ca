"""Where the spread of each arm's difference to the first comes from: seed, test examples, split, search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regtune.analysis.families import confirmed_scores, search_variances
from regtune.analysis.repeats import counted_repeats
from regtune.core.bitset import unpack_bits
from regtune.core.metric import ACCURACY
from regtune.core.records import Json
from regtune.results.loader import Results
from regtune.statistics.spread import binomial_part, search_part, seed_and_example_parts, seed_variance

Source = Literal["answers", "accuracies", ""]


class _Pairs(NamedTuple):
    """What an arm and the first have in one search on the seeds that both finished."""

    scores: list[tuple[float, float]]  # of the arm, of the first
    gains: NDArray[np.float64] | None  # [seeds, examples], None where the log does not say it of all these seeds

    @property
    def differences(self) -> list[float]:
        """The paired differences, in the order of the seeds."""
        return [first - second for first, second in self.scores]


def spread(repeats: Sequence[Results]) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file, for a sweep given as its repeats, or one of them.

    Standard deviations of one seed's difference to the first arm, in the unit of the trials: `spread_seed` is what the
    seed adds, the test examples' share taken off, or `spread_seed_split` instead, where each seed has a split of its
    own; `spread_examples` is what another test set of this size would change, from the `answers` or only from the
    `accuracies` (`spread_source`; the seed's part then has some of it in it); `spread_search` is what another search
    would change, over `spread_searches` of them, or of one search by resampling its trials (`Searches.beyond`).
    `spread_pairs` counts the seeds of all searches that both arms finished. NaN for what cannot be measured, and in the
    row of the first arm. Of several repeats only those count of which `counted_repeats` says so.
    """
    counted = counted_repeats(repeats).counted if len(repeats) > 1 else repeats
    first, *others = repeats[0].sweep.arms
    found = {first: [], **{arm: _found(counted, arm, first) for arm in others}}
    over = search_variances(repeats[0], repeats[0].sweep.confirm.metric.test) or {}
    return pd.DataFrame([_row(arm, mine, repeats[0], over) for arm, mine in found.items()])


def fresh_splits(results: Results) -> bool:
    """Return whether each confirmed seed had a split of its own."""
    return bool(results.sweep.confirm.splits == "fresh")


def examples_of(results: Results) -> int:
    """Return the number of test examples; 0 where the log does not say it."""
    recorded = [text for text in results.trials["test_right"] if text]
    if recorded:
        return len(unpack_bits(recorded[0]))
    count = results.counted_data.get("test")
    return count if isinstance(count, int) else 0


def _found(counted: Sequence[Results], arm: str, first: str) -> list[_Pairs]:
    """Return the pairs of each search; one that has left the arm off has no difference to speak of."""
    on = [results for results in counted if arm not in results.off]
    return [pairs for results in on if (pairs := _pairs(results, arm, first)).scores]


def _pairs(results: Results, arm: str, first: str) -> _Pairs:
    metric = results.sweep.confirm.metric
    mine, base = (confirmed_scores(results, name, metric) for name in (arm, first))
    seeds = sorted(mine.keys() & base.keys())
    answers = [results.right_answers[name] for name in (arm, first)]
    gains = None
    if seeds and metric == ACCURACY and all(seed in frame for frame in answers for seed in seeds):
        own, others = (frame[seeds].to_numpy().T.astype(float) for frame in answers)
        gains = own - others
    return _Pairs([(mine[seed], base[seed]) for seed in seeds], gains)


def _row(arm: str, found: Sequence[_Pairs], results: Results, over: Mapping[str, float]) -> Json:
    """Return the parts of an arm; `over` has the variance over resampled searches where there is one."""
    differences = [pairs.differences for pairs in found]
    # Of another metric nothing tells what another test set would change.
    told = results.sweep.confirm.metric == ACCURACY
    seed, examples, source = _parts(found, examples_of(results) if told else 0)
    split = fresh_splits(results)
    return {
        "arm": arm,
        "spread_pairs": sum(map(len, differences)),
        "spread_seed": math.nan if split else math.sqrt(seed),
        "spread_seed_split": math.sqrt(seed) if split else math.nan,
        "spread_examples": math.sqrt(examples),
        "spread_source": source,
        "spread_search": math.sqrt(search_part(differences) if len(found) > 1 else over.get(arm, math.nan)),
        "spread_searches": len(found),
    }


def _parts(found: Sequence[_Pairs], examples: int) -> tuple[float, float, Source]:
    """Return the variances from seed and test examples, and what the second is from."""
    tables = [pairs.gains for pairs in found if pairs.gains is not None]
    if found and len(tables) == len(found):
        return *seed_and_example_parts(tables), "answers"
    of_examples = binomial_part([pair for pairs in found for pair in pairs.scores], examples)
    seed = seed_variance([pairs.differences for pairs in found])
    return seed, of_examples, "" if math.isnan(of_examples) else "accuracies"
