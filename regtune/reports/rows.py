"""What the rows of the tables over seeds and over whole searches share: accuracy, difference, and their cells."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from regtune.reports.wording import interval
from regtune.statistics import Comparison, accuracy_interval

Row = Mapping[Hashable, Any]


def accuracy(scores: Sequence[float]) -> dict[str, Any]:
    """Return the columns of a mean test accuracy: `n`, mean, standard deviation, and 95 % interval within 0 and 1."""
    mean = accuracy_interval(scores)
    return {
        "n": mean.n,
        "test_accuracy": mean.mean,
        "test_accuracy_sd": mean.sd,
        "test_accuracy_low": mean.low,
        "test_accuracy_high": mean.high,
    }


def difference(found: Comparison | None) -> dict[str, Any]:
    """Return the columns of a comparison of accuracies with the first arm; of it itself, NaN and empty words."""
    return compared(found) | {"further": found.further if found else math.nan}


def compared(found: Comparison | None, of: str = "") -> dict[str, Any]:
    """Return the columns of a comparison with the first arm, their names beginning with that of a metric."""
    columns = {
        "pairs": found.n if found else 0,
        "difference": found.mean if found else math.nan,
        "difference_sd": found.sd if found else math.nan,
        "difference_low": found.low if found else math.nan,
        "difference_high": found.high if found else math.nan,
        "p": found.p if found else math.nan,
        "p_holm": found.p_holm if found else math.nan,
        "verdict": found.verdict if found else "",
        "note": found.note if found else "",
    }
    return {f"{of}{name}": value for name, value in columns.items()}


def accuracy_cell(row: Row) -> str:
    """Return a mean test accuracy in percent with its interval."""
    return interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"])


def difference_cell(row: Row, most: int, unit: str) -> str:
    """Return a difference in points with its interval, and over how many of a `unit` where they are fewer than most."""
    if not row["verdict"]:
        return ""
    if row["verdict"] == "off is as good":
        return "0"
    mean = interval(row["difference"], row["difference_low"], row["difference_high"], sign="+")
    return mean + fewer(row["pairs"], most, unit)


def fewer(pairs: int, most: int, unit: str) -> str:
    """Return over how many of a `unit` a difference is where they are fewer than most; else nothing."""
    return f" over {pairs} {unit}" if 0 < pairs < most else ""
