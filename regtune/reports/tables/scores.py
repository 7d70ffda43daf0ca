"""What every arm scores on test at its best configuration, and how it compares with the first arm."""

from __future__ import annotations

import json
import math

import pandas as pd

from regtune.analysis.families import finished
from regtune.analysis.verdicts import Verdict, verdicts
from regtune.core.metric import Metric, confirmed_by
from regtune.reports.tables.relevant import relevant
from regtune.reports.tables.rows import difference, difference_cell, mean_cell, means, metric_of, named
from regtune.reports.text import interval, knobs_chosen, more, number, verdict_words
from regtune.results.loader import Results
from regtune.statistics import bca_interval
from regtune.statistics.racing import Race


def scores(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file.

    `scope` says what verdicts are about: "searches" of this kind, or the "configuration" that this one found; logs that
    do not say are about the latter. `knobs` are those chosen, as JSON. `metric` is what verdicts are by where
    that is not accuracy. `n` counts confirmed seeds that have it; its mean (`test_*`) is in the unit of
    `records.Outcome`, with standard deviation, 95 % interval and, from 20 seeds on, BCa interval.
    `pairs` are the seeds that an arm and the first both
    finished; over them go `difference`, its simultaneous interval, p as it is and Holm's, the verdict, `further`
    (seeds that would resolve it, see `statistics.further`), `note` (why nothing can be said) and `better`, P(better)
    with its interval. `crossed_*` is the interval over seeds and test examples. Only where the sweep says which
    difference matters there is `relevant`: "better", "worse", "equal within" it or "undecided", see
    `statistics.relevance`.
    """
    found = verdicts(results)
    confirm, metric = results.sweep["confirm"], confirmed_by(results.sweep)
    scope = confirm.get("scope") or "configuration"
    # A race cannot be made longer, and seeds alone do not resolve what depends on the search.
    fixed = Race.of(confirm) is not None or scope == "searches"
    rows = []
    for arm in results.sweep["arms"]:
        values, verdict = list(finished(results, arm, metric).values()), found.get(arm)
        rows.append(
            {"arm": arm, "knobs": json.dumps(results.chosen.get(arm, {}))}
            | named(confirm)
            | means(metric, values)
            | _bootstrapped(metric, values)
            | difference(verdict.comparison if verdict else None)
            | relevant(confirm, verdict.comparison if verdict else None)
            | _beside(verdict)
            | ({"further": math.nan} if fixed else {})
            | {"scope": scope}
        )
    return pd.DataFrame(rows)


def _bootstrapped(metric: Metric, values: list[float]) -> dict[str, float]:
    bca = bca_interval(values)
    return {f"{metric.test}_bca_low": bca.low, f"{metric.test}_bca_high": bca.high}


def _beside(verdict: Verdict | None) -> dict[str, float]:
    """Return P(better) and the interval over seeds and test examples."""
    better, crossed = (verdict.comparison.better, verdict.crossed) if verdict else (None, None)
    return {
        "better": better.share if better else math.nan,
        "better_low": better.low if better else math.nan,
        "better_high": better.high if better else math.nan,
        "crossed_low": crossed.low if crossed else math.nan,
        "crossed_high": crossed.high if crossed else math.nan,
    }


def scores_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `scores` as a reader wants them: few columns, percent, intervals in brackets."""
    rows, most, metric = frame.to_dict("records"), frame["n"].max(), metric_of(frame)
    columns = {
        "arm": frame["arm"],
        "verdict": [verdict_words(row["verdict"], row["scope"]) + more(row["further"]) for row in rows],
        **({"relevant": frame["relevant"]} if "relevant" in frame else {}),
        "difference": [difference_cell(row, most, "seeds", metric) for row in rows],
        metric.head("test"): [mean_cell(row, metric) for row in rows],
        "sd": [number(metric.factor * value, metric.form) for value in frame[f"{metric.test}_sd"]],
        "n": frame["n"],
        "better in %": [
            interval(row["better"], row["better_low"], row["better_high"], form=".0f")
            if row["verdict"] not in ("", "off is as good")
            else ""
            for row in rows
        ],
        "test set drawn anew": [
            _ends(row["crossed_low"], row["crossed_high"]) if row["verdict"] else "" for row in rows
        ],
        "knobs chosen": [knobs_chosen(text) for text in frame["knobs"]],
    }
    if frame["crossed_low"].isna().all():
        del columns["test set drawn anew"]
    return pd.DataFrame(columns)


def _ends(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"[{100 * low:+.2f}, {100 * high:+.2f}]"
