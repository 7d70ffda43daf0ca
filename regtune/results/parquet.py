"""The frames of a log as Parquet files, for other tools: made from the log, and nothing of regtune reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from regtune.core.writing import write_atomically
from regtune.results.loader import Results


def write_frames(results: Results, folder: Path) -> list[Path]:
    """Write `trials.parquet` and `epochs.parquet`, and `superseded.parquet` where there is any; return their paths.

    Columns are those of `loader.Results`. `params` is JSON, since the knobs of a column's rows differ, and what is
    not there is null.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trials = results.trials.assign(params=[json.dumps(knobs) for knobs in results.trials["params"]])
    written = [_write(trials, folder / "trials.parquet"), _write(results.epochs, folder / "epochs.parquet")]
    old = folder / "superseded.parquet"
    old.unlink(missing_ok=True)  # of before, when there may have been some
    return [*written, _write(results.superseded, old)] if len(results.superseded) else written


def _write(frame: pd.DataFrame, path: Path) -> Path:
    """Write a file that is whole at every moment: another tool may be reading it."""
    with write_atomically(path) as part:
        frame.to_parquet(part, index=False)
    return path
