"""Every trial that did not end well, with its message; those of an arm that say the same are one row."""

from __future__ import annotations

import pandas as pd

from regtune.core.records import BAD_ENDS, OPEN
from regtune.results.loader import Results


def failures(results: Results) -> pd.DataFrame:
    """Return one row for each message of an arm: its first trial and how many more there are, status and message."""
    bad = results.trials[results.trials["status"].isin(BAD_ENDS)]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for arm, phase, number, status, message in bad[["arm", "phase", "number", "status", "message"]].to_numpy():
        alike.setdefault((arm, status, message), []).append(f"{arm}/{phase}/{number}")
    rows = [
        (f"{cells[0]} and {len(cells) - 1} more" if len(cells) > 1 else cells[0], status, message)
        for (_, status, message), cells in alike.items()
    ]
    return pd.DataFrame(rows, columns=["trial", "status", "message"])


def failed_lines(results: Results) -> list[str]:
    """Return one line for each message of an arm."""
    return [f"{row.trial} {row.status}: {row.message}" for row in failures(results).itertuples()]


def count_failed(results: Results) -> int:
    """Return how many trials did not end well."""
    return int(results.trials["status"].isin(BAD_ENDS).sum())


def failed_whole(results: Results) -> list[str]:
    """Return the arms of which no trial ended well in search, or none in confirm, although some ended."""
    trials = results.trials[results.trials["phase"].isin(("search", "confirm"))]
    ended = trials[trials["status"].isin((*BAD_ENDS, "ok", "pruned"))]
    whole = {arm for (arm, _), mine in ended.groupby(["arm", "phase"]) if mine["status"].isin(BAD_ENDS).all()}
    return [arm for arm in results.sweep.arms if arm in whole]


def failures_words(results: Results) -> str:
    """Return how many trials did not end well, and how many have not ended, in a sentence each."""
    status = results.trials["status"]
    bad, unfinished = count_failed(results), int(status.isin(OPEN).sum())
    rest = f" {unfinished} more have not ended yet." if unfinished else ""
    return f"{bad or 'None'} of {len(status)} planned trials failed, diverged or were lost.{rest}"
