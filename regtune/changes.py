"""What a changed sweep file may change: it may add to a sweep, and not make its trials incomparable."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from regtune.errors import Refused, shown
from regtune.machine import describe, differences
from regtune.metric import METRICS, confirmed_by
from regtune.records import Plain

# What changes no number of a trial.
FREE = (
    "cluster.labels",
    "cluster.retries",
    "cluster.checkpoint_seconds",
    "cluster.hours_per_trial",
    "cluster.pending",
    "confirm.metric",  # but in a race, which decides by it who goes on
    "confirm.relevant",
    "confirm.scope",  # rivals are added, or count no more
    "confirm.weights",
    "search.trials",  # what trials an arm gets is compared arm by arm
    "search.trials_per_knob",
)


READ = ("metric", "relevant", "scope")  # of [confirm], by tables
NOTHING = "nothing"
MOST_SHOWN = 8


class Change(NamedTuple):
    """A setting by path, and what it was and is, in words."""

    path: str
    was: str
    now: str

    def __str__(self) -> str:
        """Return the change in words."""
        return f"{self.path}: {self.was} -> {self.now}"


def check_same(log: Path, rows: Sequence[Plain], sweep: Plain) -> list[str]:
    """Return in words what a sweep (as `Sweep.plain()` has it) adds to that of a log with these rows.

    Raises Refused if trials of the two could not be compared, or the log lacks what verdicts are to be by; warns where
    the machine is another one.
    """
    headers = [row for row in rows if row["event"] == "header"]
    if not headers:
        return []
    try:
        more = added(headers[-1]["sweep"], json.loads(json.dumps(sweep)))
        _check_recorded(rows, sweep)
    except Refused as error:
        raise Refused(f"{log}: {error}") from error
    if unlike := differences(headers[-1], describe()):
        warnings.warn(f"{log}: goes on where other software or hardware began: {'; '.join(unlike)}", stacklevel=3)
    return more


def _check_recorded(rows: Sequence[Plain], sweep: Plain) -> None:
    """Raise Refused where verdicts are to be by a metric that was not recorded of every trial of confirm and rivals."""
    newest = {tuple(row["cell"]): row["outcome"] for row in rows if row["event"] == "ended"}
    tested = [out for (_, phase, _), out in newest.items() if phase in ("confirm", "rivals") and out["status"] == "ok"]
    lacking = sum(confirmed_by(sweep).test not in outcome["metrics"] for outcome in tested)
    if lacking:
        known = [name for name, metric in METRICS.items() if all(metric.test in out["metrics"] for out in tested)]
        raise Refused(
            f"confirm.metric: expected one that every confirmed trial in the log has ({', '.join(known)}), given "
            f"{sweep['confirm']['metric']!r}: {confirmed_by(sweep).test} was not recorded of {lacking} of "
            f"{len(tested)}; take one of those, or train the sweep again under another name"
        )


def reworded(rows: Sequence[Plain], sweep: Plain) -> Plain | None:
    """Return the fields of a further header where nothing is left to run and tables are to say more than the newest.

    Tables are made from the log alone, and of the settings that are free they read those in `READ`. None where these
    are as they were.
    """
    newest = next((row for row in reversed(rows) if row["event"] == "header"), None)
    if newest is None:
        return None
    was = newest["sweep"]
    if was.get("aa") == sweep.get("aa") and all(was["confirm"].get(n) == sweep["confirm"].get(n) for n in READ):
        return None
    return {name: value for name, value in newest.items() if name not in ("event", "time")} | {"sweep": sweep}


def added(before: Plain, after: Plain) -> list[str]:
    """Return in words what the sweep `after` adds to the sweep `before` (both as `Sweep.plain()` has them).

    More trials, more seeds and new arms add; terms of the cluster are free. A race has split its error over the
    seeds that it may take at most, so there more seeds are refused. Raises Refused with the list of
    all other differences, since trials before and after them could not be compared.
    """
    more, refused = [], []
    for change in sorted(_changes(before, after), key=lambda change: change.path.startswith("arms")):
        parts = change.path.split(".")
        seeds = change.path == "confirm.seeds" and not after["confirm"].get("racing")
        grows = seeds or (parts[0] == "arms" and parts[2:] == ["trials"])
        raced = change.path == "confirm.metric" and after["confirm"].get("racing")
        if ".".join(parts[:2]) in FREE and not raced:
            continue
        if parts == ["aa"]:  # a copy is added, or counts no more
            more += ["a hidden copy of the baseline"] if change.was == NOTHING else []
        elif parts[0] == "arms" and len(parts) == 2 and change.was == NOTHING:
            more.append(f"new arm {parts[1]}")
        elif grows and int(change.now) > int(change.was):
            more.append(str(change))
        else:
            refused.append(change)
    first, now_first = next(iter(before["arms"])), next(iter(after["arms"]))
    if first != now_first and first in after["arms"]:
        refused.append(Change("the first arm, which others are compared with", first, now_first))
    if refused:
        rest = f" and {len(refused) - MOST_SHOWN} more" if len(refused) > MOST_SHOWN else ""
        raise Refused(
            f"holds a sweep that differs in {'; '.join(map(str, refused[:MOST_SHOWN]))}{rest}; trials of the two "
            f"could not be compared: give the changed sweep another name or move the folder away"
        )
    return more


def _changes(before: object, after: object, path: str = "") -> list[Change]:
    """Return the leaves in which two nested tables differ; a table that one side lacks is one leaf."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in {**before, **after}:
            inner = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                was, now = (_word(side[key]) if key in side else NOTHING for side in (before, after))
                found.append(Change(inner, was, now))
            else:
                found += _changes(before[key], after[key], inner)
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [c for n, (a, b) in enumerate(zip(before, after, strict=True)) for c in _changes(a, b, f"{path}.{n}")]
    return [] if before == after else [Change(path, _word(before), _word(after))]


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int | float | bool) else shown(value, 60)
