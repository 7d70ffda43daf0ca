"""The table over whole searches: arms compared over the repeats of a sweep, each with its own search and confirm."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from regtune.reports.choices import choices, choices_as_text
from regtune.reports.relevant import relevant
from regtune.reports.repeated import repeated
from regtune.reports.rows import accuracy, accuracy_cell, difference, difference_cell
from regtune.reports.wording import more, number
from regtune.statistics import against, compare
from regtune.store import Results


def over_searches(repeats: Sequence[Results]) -> pd.DataFrame | None:
    """Return one row per arm, in the order of the sweep file; None for a sweep without repeats.

    The score of an arm in a repeat is its mean test accuracy over the confirmed seeds that ended well; only the
    repeats count of which `repeated` says so. `knobs` are the choices of each counted repeat and `scores` the
    scores by number of the repeat, both as JSON. `n` counts scores; `test_accuracy` is their mean, with standard
    deviation and 95 % t-interval; `seeds_least` and `seeds_most` say how many seeds are behind a score. `pairs` are
    the repeats that have both this arm and the first; over them go `difference`, its simultaneous interval, p
    as it is and Holm's, the verdict, `further` (repeats that would resolve it, see `statistics.further`) and
    `note` (why nothing can be said), and `relevant` as in `scores`. Accuracies and differences are fractions, not
    rounded.
    """
    if len(repeats) < 2:
        return None
    arms, counted = list(repeats[0].sweep["arms"]), repeated(repeats).counted
    finished = {arm: {results.repeat: _finished(results, arm) for results in counted} for arm in arms}
    scores = {
        arm: {repeat: float(values.mean()) for repeat, values in mine.items() if len(values)}
        for arm, mine in finished.items()
    }
    compared = compare(against(scores, arms[0]))
    return pd.DataFrame(
        [
            {"arm": arm, "knobs": json.dumps(choices(counted, arm)), "scores": json.dumps(scores[arm])}
            | _seeds([len(values) for values in finished[arm].values() if len(values)])
            | accuracy(list(scores[arm].values()))
            | difference(compared.get(arm))
            | relevant(repeats[0].sweep["confirm"], compared.get(arm))
            for arm in arms
        ]
    )


def _finished(results: Results, arm: str) -> pd.Series[float]:
    trials = results.trials
    mine = trials[(trials["arm"] == arm) & (trials["phase"] == "confirm") & (trials["status"] == "ok")]
    return mine["test_accuracy"].dropna()


def _seeds(counts: Sequence[int]) -> dict[str, int]:
    return {"seeds_least": min(counts, default=0), "seeds_most": max(counts, default=0)}


def searches_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `over_searches` as a reader wants them: few columns, percent, intervals in brackets."""
    rows, most = frame.to_dict("records"), frame["n"].max()
    return pd.DataFrame(
        {
            "arm": frame["arm"],
            "verdict": [row["verdict"] + more(row["further"]) for row in rows],
            **({"relevant": frame["relevant"]} if "relevant" in frame else {}),
            "difference": [difference_cell(row, most, "repeats") for row in rows],
            "p (Holm)": [number(row["p_holm"], ".2g") if row["verdict"] else "" for row in rows],
            "test accuracy %": [accuracy_cell(row) for row in rows],
            "sd": [number(100 * value, ".2f") for value in frame["test_accuracy_sd"]],
            "repeats": frame["n"],
            "seeds in each": [_range(row["seeds_least"], row["seeds_most"]) for row in rows],
            "knobs chosen": [choices_as_text(text) for text in frame["knobs"]],
        }
    )


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
