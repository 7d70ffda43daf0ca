"""The comparisons with the baseline that a table shows: all at once after equal seeds, or those of a race."""

from __future__ import annotations

import math

from regtune.statistics import Comparison, against, compare
from regtune.statistics.entered import ended_of
from regtune.statistics.racing import Race
from regtune.store import Results


def against_baseline(results: Results) -> dict[str, Comparison]:
    """Return for each other arm its comparison with the first, over the seeds that both finished."""
    arms = list(results.sweep["arms"])
    rows = [{str(name): value for name, value in row.items()} for row in results.trials.to_dict("records")]
    ended = ended_of(rows, arms, results.chosen)
    race = Race.of(results.sweep["confirm"])
    if race is not None:
        return race.compare(ended)
    scores = {
        arm: {number: score for number, score in (mine or {}).items() if score is not None and not math.isnan(score)}
        for arm, mine in ended.items()
    }
    return compare(against(scores, arms[0]))
