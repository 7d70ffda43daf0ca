"""How captions say that a choice is by several seeds, and what verdicts over searches have in them."""

from __future__ import annotations

from regtune.core.metric import ACCURACY, confirmed_by, searched_by
from regtune.core.resampling import DRAWS, LEAST, MOST
from regtune.results.loader import Results


def select_words(results: Results) -> str:
    """Say how the configuration of each arm was chosen where it was by more than its score in search."""
    terms = results.sweep.get("select")
    if not terms:
        return ""
    off = ", ".join(arm for arm in results.sweep["arms"] if arm in results.off)
    left = (
        f" Off is as good: where the baseline's choice was better there by more than one standard error of the paired "
        f"differences, the arm is the baseline (difference 0 by construction, no interval): {off}."
        if off
        else ""
    )
    metric = searched_by(results.sweep)
    close = f", and all within two standard errors of its best up to {terms['most']}" if metric == ACCURACY else ""
    return (
        f"Select: the best {terms['candidates']} of each arm{close}, on up to {terms['seeds']} further seeds that all "
        f"arms share, the better half going on from round to round; validation only.{left}"
    )


def rivals_words(results: Results) -> str:
    """Say what verdicts add to the spread over seeds where they are over searches; empty where they are not."""
    if results.searches is None:
        return ""
    open_ = " Rivals are still to be trained, and until then there are no intervals." if results.rivals_open else ""
    return (
        f"Intervals and verdicts are over searches, of which this is one: {DRAWS} times its trials and the seeds of "
        f"select are drawn again and the choice is made anew; choices made so in {100 * LEAST:g} % of the draws or "
        f"more, up to {MOST} of an arm, are confirmed on {results.searches.seeds} seeds, "
        f"and the variance over choices, at least the mean of all arms', is added to that of the mean over seeds. "
        f"{confirmed_by(results.sweep).long}, better in % and the test set drawn anew are of the configuration "
        f"chosen.{open_}"
    )
