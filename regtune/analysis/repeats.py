"""Which repeats of a sweep count: those in which search and confirm are over, all of one plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regtune.core.errors import Refused
from regtune.core.records import OPEN, Json
from regtune.results.loader import Results
from regtune.storage.compatibility import changed


@dataclass(frozen=True, kw_only=True)
class CountedRepeats:
    """The repeats that count, in their order, and of each other one a sentence why it does not."""

    counted: Sequence[Results]
    left_out: Sequence[str]


def counted_repeats(repeats: Sequence[Results]) -> CountedRepeats:
    """Return which of the repeats of a sweep count.

    The plan is that of the first: where a sweep is extended, the others come after it, and until then they are
    searches of another budget.
    """
    counted, left_out = [], []
    for results in repeats:
        if reason := _open(results) or _unlike(repeats[0].header["sweep"], results.header["sweep"]):
            left_out.append(f"Repeat {results.repeat} is left out, since {reason}. The same command resumes it.")
        else:
            counted.append(results)
    return CountedRepeats(counted=counted, left_out=left_out)


def _open(results: Results) -> str:
    """Return what is open in a repeat, in words; empty where search and confirm are over.

    Search is also over at a limit, and an arm without a choice has nothing to confirm.
    """
    trials = results.trials[results.trials["status"].isin(OPEN)]
    search = (trials["phase"] == "search") & (not results.limit)
    confirm = (trials["phase"] == "confirm") & trials["arm"].isin(list(results.chosen))
    counts = {"search": int(search.sum()), "confirm": int(confirm.sum())}
    left = [f"{count} of {phase}" for phase, count in counts.items() if count]
    left += ["select"] if results.choices.is_open and not counts["search"] else []
    return f"trials are not finished: {' and '.join(left)}" if left else ""


def _unlike(first: Json, other: Json) -> str:
    """Return how the plan of a repeat differs from that of the first, in words; empty where it does not."""
    same = {name: value for name, value in other.items() if name != "repeat"} | {"seed": first["seed"]}
    try:
        found = changed(same, {name: value for name, value in first.items() if name != "repeat"})
    except Refused as error:
        return f"it {error}"
    missing = [f"it does not have yet: {'; '.join(found.more)}"] if found.more else []
    return " and ".join([*missing, *([f"it still has: {'; '.join(found.less)}"] if found.less else [])])
