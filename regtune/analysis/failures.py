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
    """Return in a sentence each how many trials did not end well, have not ended, and cannot be trained."""
    left = results.trials[results.trials["status"].isin(OPEN)]
    without = left["arm"].isin(_without_choice(results))
    text = f"{count_failed(results) or 'None'} of {len(results.trials)} planned trials failed, diverged or were lost."
    if unfinished := int((~without).sum()):
        text += f" {unfinished} more have not ended yet."
    if names := list(dict.fromkeys(left["arm"][without])):
        text += f" {int(without.sum())} more of {', '.join(names)} are not trained, since no search trial ended well."
    return text


def _without_choice(results: Results) -> list[str]:
    """Return the arms whose search is over with nothing that confirm could take."""
    searched = results.of_phase("search").groupby("arm")["status"]
    return [str(arm) for arm, status in searched if status.isin(BAD_ENDS).all()]
