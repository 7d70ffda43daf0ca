"""What the numbers can and cannot tell: intervals, paired comparisons, verdicts, ranks. One idea a file."""

from __future__ import annotations

from regtune.statistics.comparisons import FEWEST, Comparison, Verdict, compare
from regtune.statistics.intervals import MeanInterval, bca_interval, mean_interval, share_interval
from regtune.statistics.paired import Preference, every_pair, paired_differences, preference

__all__ = [
    "FEWEST",
    "Comparison",
    "MeanInterval",
    "Preference",
    "Verdict",
    "bca_interval",
    "compare",
    "every_pair",
    "mean_interval",
    "paired_differences",
    "preference",
    "share_interval",
]
