"""Which confirmed trial stands for an arm: the same for `regtune export` and for `results.best`."""

from __future__ import annotations

from regtune.core.errors import Refused, nearest
from regtune.core.records import Json
from regtune.core.selection import ranked
from regtune.results.loader import Results


def best_confirmed(results: Results, arm: str, number: int | None = None) -> Json:
    """Return the row of the best confirmed trial of an arm by the metric of search, or of the one of that number.

    Raises Refused for an arm that is not there, that is as good off, or that has no such trial which ended ok.
    """
    if arm not in results.sweep.arms:
        raise Refused(f"arm: unknown arm {arm!r}{nearest(arm, results.sweep.arms)}")
    if arm in results.off:
        raise Refused(
            f"arm {arm}: expected an arm with trials of its own, it is as good off; take the network of "
            f"{results.sweep.baseline!r}"
        )
    trials = results.trials
    mine = trials[(trials["arm"] == arm) & (trials["phase"] == "confirm") & (trials["status"] == "ok")]
    rows: list[Json] = [{str(name): value for name, value in row.items()} for row in mine.to_dict("records")]
    ended = [row for row in rows if number is None or row["number"] == number]
    if not ended:
        which = "a confirmed trial" if number is None else f"a confirmed trial of number {number}"
        raise Refused(f"arm {arm}: expected {which} that ended ok, given none in {results.path}; run the sweep on")
    return ranked(ended, results.sweep.search.metric)[0]
