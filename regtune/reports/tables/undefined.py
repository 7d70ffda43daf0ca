"""Which trials have no value of a metric that they ended with: it is told, and never taken for a score."""

from __future__ import annotations

from regtune.core.metric import ACCURACY, confirmed_by, searched_by
from regtune.reports.tables.family_words import without_number
from regtune.results.loader import Results

WHY = "a class without an example in the split, or answers that are not finite"


def undefined(results: Results) -> list[str]:
    """Return how many trials lack the metric of the sweep, and what they count for; nothing where none does."""
    search, confirm = searched_by(results.sweep), confirmed_by(results.sweep)
    told = []
    if search != ACCURACY:
        trials = results.trials[results.trials["phase"].isin(["search", "select"])]
        ended = trials[trials["status"].isin(["ok", "pruned"]) & (trials["epochs"] > 0)]
        if count := int(ended[search.val].isna().sum()):
            told.append(
                f"Validation {search.words} is undefined in {count} of {len(ended)} trials of search and select "
                f"({WHY}): they count as the worst there."
            )
    lacking = without_number(results, [confirm]) if confirm != ACCURACY else []
    return [*told, *(f"{each} Undefined is {WHY}." for each in lacking)]
