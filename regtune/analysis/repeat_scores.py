"""What the searches of several repeats chose, and arms compared over whole searches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from regtune.analysis.columns import difference_columns, mean_columns, metric_column, relevant_column
from regtune.analysis.families import as_off, compared_scores, other_metrics, repeat_means, repeated_columns
from regtune.analysis.repeats import counted_repeats
from regtune.analysis.spread import spread
from regtune.core.metric import Metric
from regtune.core.records import Json
from regtune.results.loader import Results
from regtune.statistics import Comparison
from regtune.statistics.comparisons import compare_with


def choices(counted: Sequence[Results], arm: str) -> dict[str, list[Any]]:
    """Return by path what each repeat chose for a knob, in their order; None where it was idle or none was chosen."""
    chosen = [results.chosen.get(arm, {}) for results in counted]
    return {path: [knobs.get(path) for knobs in chosen] for path in dict.fromkeys(p for knobs in chosen for p in knobs)}


def repeat_scores(repeats: Sequence[Results]) -> pd.DataFrame | None:
    """Return one row per arm, in the order of the sweep file; None for a sweep without repeats.

    The score of an arm in a repeat is its mean test accuracy, or `metric`, over the confirmed seeds that ended well;
    only the repeats of `counted_repeats` count. `knobs` are the choices of each of these and `scores` the
    scores by number of the repeat, both as JSON. `n` counts scores; `test_accuracy` is their mean, with standard
    deviation and 95 % interval; `seeds_least` and `seeds_most` say how many seeds are behind a score. `pairs` are
    the repeats that have both this arm and the first; over them go `difference`, its simultaneous interval, p
    as it is and Holm's, the verdict, `further` (repeats that would resolve it, see `power.further_seeds`) and
    `note` (why nothing can be said), and `relevant` as in `scores`. Accuracies and differences are fractions, not
    rounded. NLL and ECE (`test_loss`, `test_ece`) have columns of their own: mean, standard deviation, number of
    scores (`*_n`), and those of their comparison. Behind them stand the columns of `spread.spread`.
    """
    if len(repeats) < 2:
        return None
    arms, whole = list(repeats[0].sweep.arms), counted_repeats(repeats).counted
    confirm, own = repeats[0].sweep.confirm, repeats[0].sweep.confirm.metric
    scores, compared = _compared(whole, arms, own)
    beside = {metric: _compared(whole, arms, metric) for metric in other_metrics(own)}
    rows = []
    for arm in arms:
        row: Json = {"arm": arm, "knobs": json.dumps(choices(whole, arm)), "scores": json.dumps(scores[arm])}
        row |= _seeds([len(seeds) for results in whole if (seeds := compared_scores(results, arm, own))])
        row |= (
            metric_column(confirm)
            | mean_columns(own, list(scores[arm].values()))
            | difference_columns(compared.get(arm))
        )
        row |= {"scope": "searches"} | relevant_column(confirm, compared.get(arm))
        for metric, (values, found) in beside.items():
            row |= repeated_columns(metric, list(values[arm].values()), found.get(arm))
        rows.append(row)
    return pd.DataFrame(rows).merge(spread(repeats), on="arm", validate="one_to_one")


def _compared(
    whole: Sequence[Results], arms: Sequence[str], metric: Metric
) -> tuple[dict[str, dict[int, float]], dict[str, Comparison]]:
    """Return a metric by arm and repeat, and the comparison of each other arm with the first over the repeats."""
    scores = {arm: repeat_means(whole, arm, metric) for arm in arms}
    found = compare_with(scores, arms[0], better=metric.better)
    # Where a search has left the arm off, the difference is 0; where all have, there is nothing to test.
    off = [arm for arm in found if whole and all(arm in results.off for results in whole)]
    return scores, found | {arm: as_off(found[arm]) for arm in off}


def _seeds(counts: Sequence[int]) -> dict[str, int]:
    return {"seeds_least": min(counts, default=0), "seeds_most": max(counts, default=0)}
