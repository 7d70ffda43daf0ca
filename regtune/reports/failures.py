"""Every trial that did not end well, with its message."""

from __future__ import annotations

import pandas as pd

from regtune.records import FAULTS, OPEN
from regtune.store import Results


def failures(results: Results) -> pd.DataFrame:
    """Return one row per trial that failed, diverged or was lost: its cell, status and message."""
    bad = results.trials[results.trials["status"].isin(FAULTS)]
    cells = [f"{row.arm}/{row.phase}/{row.number}" for row in bad.itertuples()]
    return pd.DataFrame({"trial": cells, "status": bad["status"].to_list(), "message": bad["message"].to_list()})


def failed_lines(results: Results) -> list[str]:
    """Return one line per trial that failed, diverged or was lost."""
    return [f"{row.trial} {row.status}: {row.message}" for row in failures(results).itertuples()]


def failures_words(results: Results) -> str:
    """Return how many trials did not end well, and how many have not ended, in a sentence each."""
    status = results.trials["status"]
    bad, unfinished = int(status.isin(FAULTS).sum()), int(status.isin(OPEN).sum())
    rest = f" {unfinished} more have not ended yet." if unfinished else ""
    return f"{bad or 'None'} of {len(status)} planned trials failed, diverged or were lost.{rest}"
