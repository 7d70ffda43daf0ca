"""Test accuracy of every arm at its best configuration, and how it compares with the first arm."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from regtune.reports.verdicts import Verdict, verdicts
from regtune.reports.wording import interval, knobs_chosen, number, seeds
from regtune.statistics import bca_interval, mean_interval
from regtune.store import Results

NOTHING = math.nan


def scores(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file.

    `knobs` are those chosen, as JSON. `n` counts confirmed seeds; accuracies are fractions, with standard deviation,
    95 % t-interval and, from 20 seeds on, BCa interval. `pairs` are the seeds that an arm and the first both
    finished; over them go `difference`, its simultaneous interval, p as it is and Holm's, the verdict, `further`
    (seeds that would resolve it, see `statistics.further`), `note` (why nothing can be said) and `better`, P(better)
    with its interval. `crossed_*` is the interval over seeds and test examples.
    """
    trials = results.trials
    confirmed = trials[(trials["phase"] == "confirm") & (trials["status"] == "ok")]
    found = verdicts(results)
    return pd.DataFrame(
        [
            {"arm": arm, "knobs": json.dumps(results.chosen.get(arm, {}))}
            | _accuracy(confirmed[confirmed["arm"] == arm]["test_accuracy"].to_list())
            | _difference(found.get(arm))
            for arm in results.sweep["arms"]
        ]
    )


def _accuracy(values: list[float]) -> dict[str, Any]:
    mean, bca = mean_interval(values), bca_interval(values)
    return {
        "n": mean.n,
        "test_accuracy": mean.mean,
        "test_accuracy_sd": mean.sd,
        "test_accuracy_low": mean.low,
        "test_accuracy_high": mean.high,
        "test_accuracy_bca_low": bca.low,
        "test_accuracy_bca_high": bca.high,
    }


def _difference(verdict: Verdict | None) -> dict[str, Any]:
    against = verdict.comparison if verdict else None
    better, crossed = (verdict.preference, verdict.crossed) if verdict else (None, None)
    return {
        "pairs": against.n if against else 0,
        "difference": against.mean if against else NOTHING,
        "difference_sd": against.sd if against else NOTHING,
        "difference_low": against.low if against else NOTHING,
        "difference_high": against.high if against else NOTHING,
        "crossed_low": crossed.low if crossed else NOTHING,
        "crossed_high": crossed.high if crossed else NOTHING,
        "p": against.p if against else NOTHING,
        "p_holm": against.p_holm if against else NOTHING,
        "better": better.share if better else NOTHING,
        "better_low": better.low if better else NOTHING,
        "better_high": better.high if better else NOTHING,
        "verdict": against.verdict if against else "",
        "further": against.further if against else NOTHING,
        "note": against.note if against else "",
    }


def scores_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `scores` as a reader wants them: few columns, percent, intervals in brackets."""
    rows, most = frame.to_dict("records"), frame["n"].max()
    columns = {
        "arm": frame["arm"],
        "verdict": [row["verdict"] + seeds(row["further"]) for row in rows],
        "difference": [
            interval(row["difference"], row["difference_low"], row["difference_high"], sign="+")
            + (f" over {row['pairs']} seeds" if row["pairs"] < most else "")
            if row["verdict"]
            else ""
            for row in rows
        ],
        "test accuracy %": [
            interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"]) for row in rows
        ],
        "sd": [number(100 * value, ".2f") for value in frame["test_accuracy_sd"]],
        "n": frame["n"],
        "better in %": [
            interval(row["better"], row["better_low"], row["better_high"], form=".0f") if row["verdict"] else ""
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
