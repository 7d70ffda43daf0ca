"""What the verdicts of one search do not show: how far its choice, and so each difference, is luck.

In each resampled search the arm and the baseline have chosen some trials (`resampling.pairs`). What those score
against each other on the same few confirm seeds gives the variance over searches.
"""

from __future__ import annotations

import math

from regtune.resampling import SEEDS, pairs
from regtune.selection import parted
from regtune.statistics.search_variance import search_variance
from regtune.store import Results


def beyond(results: Results, metric: str) -> dict[str, float] | None:
    """Return by arm the variance over searches of its mean difference to the first, by a column of `Results.trials`.

    None where verdicts are about the configuration that was found. NaN where rivals are still to be trained or fewer
    than two seeds of all of them ended well, and where there was no choice. Choices that were made too seldom to be
    confirmed are left out.
    """
    if results.sweep["confirm"].get("scope") != "searches":
        return None
    baseline, *others = results.sweep["arms"]
    scores = _scores(results, metric)
    return {arm: _of(results, scores, arm, baseline) for arm in others if arm not in results.off}


def _of(results: Results, scores: dict[tuple[str, int], dict[int, float]], arm: str, baseline: str) -> float:
    known = {name: {results.choices.numbers.get(name), *results.rivals.get(name, [])} for name in (arm, baseline)}
    counts = {
        pair: count
        for pair, count in pairs(results.draws, arm, baseline).items()
        if pair is None or (pair[0] in known[arm] and pair[1] in known[baseline])
    }
    mine = [scores.get(key, {}) for pair in counts if pair for key in ((arm, pair[0]), (baseline, pair[1]))]
    seeds = sorted(set.intersection(*map(set, mine))) if mine else []
    # A rival that failed is no reason to be surer, and of a single candidate nothing can be seen.
    if results.rivals_open or len(seeds) < 2 or not (_several(results, arm) and _several(results, baseline)):
        return math.nan
    rows = [
        [scores[arm, pair[0]][seed] - scores[baseline, pair[1]][seed] if pair else 0.0 for seed in seeds]
        for pair in counts
    ]
    return search_variance(list(counts.values()), rows)


def _several(results: Results, arm: str) -> bool:
    """Return whether the choice of an arm was one among several."""
    selection = results.scored.selection
    return selection is not None and len(selection.finalists(results.scored.searched.get(arm, []))) > 1


def _scores(results: Results, metric: str) -> dict[tuple[str, int], dict[int, float]]:
    """Return by arm and search trial a metric on the confirm seeds that rivals have, those that ended well."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    trials = results.trials[results.trials["status"] == "ok"]
    for row in trials[trials["phase"].isin(["confirm", "rivals"])].to_dict("records"):
        if row["phase"] == "rivals":
            number, seed = parted(row["number"])
        else:
            number, seed = results.choices.numbers.get(row["arm"], -1), row["number"]
        if seed < SEEDS and not math.isnan(row[metric]):
            found.setdefault((row["arm"], number), {})[seed] = float(row[metric])
    return found
