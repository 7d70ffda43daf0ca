"""How many trials of a sweep are still to come, as far as its log tells: none of one that is over."""

from __future__ import annotations

from regtune.core.records import OPEN
from regtune.results.loader import Results


def trials_left(results: Results) -> int:
    """Return how many planned trials have not ended and may yet; phases that plan as they go count as one at least.

    What a limit has left out of search is not among them, nor what arms without a choice would confirm.
    """
    waiting = results.trials[results.trials["status"].isin(OPEN)]
    search = 0 if results.limit else int((waiting["phase"] == "search").sum())
    select = int((waiting["phase"] == "select").sum())
    choosing = bool(search or select or results.choices.is_open)
    confirm = waiting[waiting["phase"] == "confirm"]
    confirmed = len(confirm) if choosing else int(confirm["arm"].isin(list(results.chosen)).sum())
    return search + select + confirmed + results.rivals_open
