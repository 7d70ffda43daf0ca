"""Everything that is said of an arm in one row: scores, other metrics, budget."""

from __future__ import annotations

import pandas as pd

from regtune.analysis.budget import budget
from regtune.analysis.metrics import metrics
from regtune.analysis.scores import scores
from regtune.analysis.spread import spread
from regtune.analysis.tuning import tuning
from regtune.results.loader import Results


def comparison(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file: the columns of `scores`, `metrics`, `budget`, `tuning`
    and `spread`.

    Accuracies and differences are fractions, seconds are wall time summed over trials; numbers are not rounded.
    """
    frame = scores(results)
    for part in (metrics(results), budget(results), tuning(results), spread([results])):
        frame = frame.merge(part, on="arm", validate="one_to_one")
    return frame
