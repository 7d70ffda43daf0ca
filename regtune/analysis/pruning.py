"""How often pruning was wrong: what the score at a rung says of the final one, and what became of spared trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from scipy import stats

from regtune.core.selection import in_control_share
from regtune.pruners import Rung, judged, pruning_of
from regtune.results.loader import Results

FEWEST = 3  # trials below which a rank correlation says nothing


def rung_correlations(results: Results) -> pd.DataFrame:
    """Return one row per arm and rung: how well the score at the rung ranks the trials as they end.

    Scores are by the metric of search at the epoch kept by then. `correlation` is Spearman's, over the `n` search
    trials that passed the rung and ended well; pruning has taken the worst away, so it is lower than over all.
    `control_correlation` is over the `control_n` of them that could not be pruned, a fair sample. NaN for
    fewer than three trials, or where all score alike.
    """
    rows = []
    for arm, rung, passed in _passed(results):
        row: dict[str, Any] = {"arm": arm, "rung": rung}
        for prefix, part in (("", passed), ("control_", passed[passed["control"]])):
            row |= {f"{prefix}n": len(part), f"{prefix}correlation": _spearman(part)}
        rows.append(row)
    return pd.DataFrame(rows, columns=["arm", "rung", "n", "correlation", "control_n", "control_correlation"])


def rung_rankings(results: Results) -> dict[tuple[str, int], Rung]:
    """Return how the rungs of each arm ranked its trials at the end, as a cautious pruner saw it; {} with another."""
    if not pruning_of(results.sweep).ranked:
        return {}
    # Of trials that it would have ended the pruner heard no more.
    heard = ((arm, rung, passed[passed["spared"].isna()]) for arm, rung, passed in _passed(results))
    return {(arm, rung): judged(list(part["then"]), list(part["score"])) for arm, rung, part in heard}


def _passed(results: Results) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Yield for each arm and rung the search trials that passed it and ended well, with their score `then`."""
    pruning, metric = pruning_of(results.sweep), results.sweep.search.metric
    places = pruning.rungs if pruning.at_rungs else ()
    final = _final(results)
    epochs = results.epochs.reindex(columns=["arm", "phase", "number", "epoch", "kept", metric.val])
    kept = epochs[(epochs["phase"] == "search") & (epochs["epoch"] == epochs["kept"])]
    kept = kept.assign(score=kept[metric.val].map(metric.score).astype(float))
    kept_by_arm = dict(iter(kept.groupby("arm", sort=False)))
    for arm in results.sweep.arms:
        mine, scores = final[final["arm"] == arm].set_index("number"), kept_by_arm.get(arm, kept[:0])
        for rung in places:
            then = scores[scores["epoch"] <= rung].groupby("number")["score"].last()
            yield arm, rung, mine.assign(then=then.reindex(mine.index).astype(float))[mine["epochs"] > rung]


def wrongly_pruned(results: Results) -> pd.DataFrame:
    """Return one row per arm: what the pruner would have cost in the control share.

    `control` counts the search trials over which the pruner had no say and that ended well, `spared` those of them
    that it would have stopped, `best` those of the spared that ended better than every trial of their arm
    which it let through. `chance` is how likely the best of as many trials as the arm has would have been stopped,
    were they drawn from its control trials: rough for few of them, NaN without.
    """
    final, rows = _final(results), []
    for arm in results.sweep.arms:
        mine = final[final["arm"] == arm]
        control, spared = mine[mine["control"]], mine["spared"].notna()
        bar = mine[~spared]["score"].max() if (~spared).any() else -math.inf
        best = int((mine[spared]["score"] > bar).sum())
        chance = _chance(control["score"], control["spared"].notna(), results.sweep.arms[arm].trials)
        rows.append({"arm": arm, "control": len(control), "spared": int(spared.sum()), "best": best, "chance": chance})
    return pd.DataFrame(rows)


def _chance(scores: pd.Series[float], stopped: pd.Series[bool], draws: int) -> float:
    """Return how likely the best of so many draws is one that was stopped; equal scores share."""
    if scores.empty:
        return math.nan
    by_score = stopped.groupby(scores.astype(float)).agg(["size", "mean"]).sort_index()
    below = by_score["size"].cumsum() / len(scores)
    best = below**draws - below.shift(fill_value=0.0) ** draws
    return float((best * by_score["mean"]).sum())


def _final(results: Results) -> pd.DataFrame:
    """Return the search trials that ended well with their `score`, and whether they are `control`, not to be pruned."""
    metric = results.sweep.search.metric
    trials, share = results.trials, results.sweep.search.control
    final = trials[(trials["phase"] == "search") & (trials["status"] == "ok")]
    repeat = results.sweep.repeat
    pairs = zip(final["arm"], final["number"], strict=True)
    control = [in_control_share(arm, number, share, repeat) for arm, number in pairs]
    scores = final[metric.val].map(metric.score).astype(float)
    return final.assign(score=scores, control=pd.Series(control, index=final.index, dtype=bool))


def _spearman(scores: pd.DataFrame) -> float:
    pairs = scores[["then", "score"]].dropna()
    if len(pairs) < FEWEST or (pairs.nunique() == 1).any():
        return math.nan
    return float(stats.spearmanr(pairs["then"], pairs["score"]).statistic)
