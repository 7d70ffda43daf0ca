"""What the numbers can and cannot tell: intervals, paired comparisons, verdicts, ranks. One idea a file."""

from __future__ import annotations

from regtune.statistics.comparisons import FEWEST, Comparison, Verdict, compare
from regtune.statistics.intervals import MeanInterval, bca_interval, mean_interval, share_interval
from regtune.statistics.paired import Preference, against, every_pair, preference

__all__ = [
    "FEWEST",
    "Comparison",
    "MeanInterval",
    "Preference",
    "Verdict",
    "against",
    "bca_interval",
    "compare",
    "every_pair",
    "mean_interval",
    "preference",
    "share_interval",
]
