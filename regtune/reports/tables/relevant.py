"""What stands beside a verdict where the sweep says which difference matters, and the words for it."""

from __future__ import annotations

from regtune.core.metric import METRICS
from regtune.core.records import Plain
from regtune.statistics import Comparison
from regtune.statistics.relevance import relevance


def relevant(confirm: Plain, found: Comparison | None) -> dict[str, str]:
    """Return the column `relevant` of a comparison with the first arm; of the first arm itself, it is empty.

    `confirm` is that of a sweep as its log has it. Where it does not say which difference matters, there is no column.
    """
    margin: float | None = confirm.get("relevant")
    if margin is None:
        return {}
    if found is None:
        return {"relevant": ""}
    if found.verdict == "off is as good":
        return {"relevant": f"equal within {margin:g}"}
    if found.note:
        return {"relevant": "undecided"}
    metric = METRICS[confirm.get("metric", "accuracy")]
    word = relevance(
        mean=metric.turned(found.mean),
        error=found.error,
        df=found.n - 1,
        margin=margin / metric.factor,
        alpha=found.alpha,
    )
    return {"relevant": f"equal within {margin:g}" if word == "equal" else word}


def relevant_words(confirm: Plain) -> str:
    """Say what the column shows; empty where there is none."""
    margin = confirm.get("relevant")
    if margin is None:
        return ""
    unit = METRICS[confirm.get("metric", "accuracy")].unit
    return (
        f"Relevant: better or worse by more than {margin:g} {unit}, or equal within them by two one-sided tests, else "
        f"undecided; any false one of these: 5 % (Bonferroni), provided {margin:g} was set before scores were seen."
    )
