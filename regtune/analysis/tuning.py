"""Tuning curves: what search finds with how many trials, and whether a band can be given with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from regtune.core.metric import Metric
from regtune.core.records import Json
from regtune.core.selection import named_first
from regtune.pruners import pruning_of
from regtune.results.loader import Results
from regtune.statistics.tuning import TuningCurve, round_budgets, tuning_curve

NON_ADAPTIVE = ("random", "qmc", "paired", "grid")  # samplers whose draws know nothing of each other's scores


def tuning_budgets(results: Results) -> list[int]:
    """Return the numbers of trials that a row of the table has: round ones, and as many as the largest arm ended."""
    return round_budgets(max((len(scores) for scores in search_shares(results).values()), default=0))


def search_shares(results: Results) -> dict[str, list[float]]:
    """Return by arm the shares (`_share`) of its search trials that ended, in the order of their numbers.

    They are accuracies as fractions, or what stands for the metric of search; 0 for a trial that failed or diverged. An
    arm of which no trial ended well has none. Points that a person has named are left out: they are no draws.
    """
    metric = results.sweep.search.metric
    trials = results.of_phase("search").sort_values("number")
    first = named_first(results.sweep)
    places = zip(trials["arm"], trials["number"], strict=True)
    drawn = trials[pd.Series([number >= first[arm] for arm, number in places], index=trials.index, dtype=bool)]
    ended = drawn[drawn["status"].isin(["ok", "pruned", "failed", "diverged"])]
    bad = ended["status"].isin(["failed", "diverged"])
    shares = ended[metric.val].astype(float).map(lambda value: _share(metric, value))
    scores = ended.assign(score=shares.mask(bad).fillna(0.0))
    well = ended["status"].isin(pruning_of(results.sweep).finishes)
    some = set(ended[well]["arm"])
    return {arm: scores[scores["arm"] == arm]["score"].to_list() if arm in some else [] for arm in results.sweep.arms}


def curve(results: Results, arm: str, scores: Sequence[float], most: Sequence[int]) -> TuningCurve | None:
    """Return the curve of an arm, given as `search_shares` has it, at those of `most` budgets that its trials reach.

    It is in the unit of the metric of search. None where the arm has none.
    """
    if not scores:
        return None
    found = tuning_curve(scores, [n for n in most if n <= len(scores)], band=independent(results, arm))
    metric = results.sweep.search.metric
    best, low, high = ([_value(metric, share) for share in part] for part in (found.best, found.low, found.high))
    ends = (low, high) if metric.better == "higher" else (high, low)
    return TuningCurve(budgets=found.budgets, best=best, low=ends[0], high=ends[1])


def _share(metric: Metric, value: float) -> float:
    """Return a value as a share from 0 to 1 of which more is better: likelihood itself for its negative logarithm.

    The median of the best, and bands that hold for any distribution, are those of the values turned into shares.
    """
    return value if metric.better == "higher" else math.exp(-value)


def _value(metric: Metric, share: float) -> float:
    """Return the value of a share; infinite where nothing is known of how bad it may be."""
    if metric.better == "higher" or math.isnan(share):
        return share
    return 0.0 - math.log(share) if share > 0 else math.inf


def tuning(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file.

    `tuning_trials` is how many of its search trials ended and count; `best_of_<n>` for each n of `tuning_budgets` the
    median score of the best of n of them, with `best_of_<n>_low` and `_high`, the ends of its band, in the unit of
    trials. NaN for n above its trials, and where no band can be given.
    """
    places, rows = tuning_budgets(results), []
    for arm, scores in search_shares(results).items():
        row: Json = {"arm": arm, "tuning_trials": len(scores)}
        found = curve(results, arm, scores, places)
        at = found.points if found else {}
        for n in places:
            names = (f"best_of_{n}", f"best_of_{n}_low", f"best_of_{n}_high")
            row |= zip(names, at.get(n, (math.nan,) * 3), strict=True)
        rows.append(row)
    return pd.DataFrame(rows)


def independent(results: Results, arm: str) -> bool:
    """Return whether the scores of an arm are as if no trial had known of another: no sampler that learns, and none
    pruned by its score. Where every trial is stopped after as many epochs, that is no pruning by score.
    """
    search, trials = results.sweep.search, results.trials
    mine = trials[(trials["arm"] == arm) & (trials["phase"] == "search")]
    alike = "pruned" in pruning_of(results.sweep).finishes
    by_score = not alike and bool((mine["status"] == "pruned").any())
    return search.sampler in NON_ADAPTIVE and not by_score
