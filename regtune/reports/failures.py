"""Every trial that did not end well, with its message."""

from __future__ import annotations

import pandas as pd

from regtune.records import FAULTS
from regtune.store import Results


def failures(results: Results) -> pd.DataFrame:
    """Return one row per trial that failed, diverged or was lost: its cell, status and message."""
    bad = results.trials[results.trials["status"].isin(FAULTS)]
    cells = [f"{row.arm}/{row.phase}/{row.number}" for row in bad.itertuples()]
    return pd.DataFrame({"trial": cells, "status": bad["status"].to_list(), "message": bad["message"].to_list()})


def failed_lines(results: Results) -> list[str]:
    """Return one line per trial that failed, diverged or was lost."""
    return [f"{row.trial} {row.status}: {row.message}" for row in failures(results).itertuples()]
