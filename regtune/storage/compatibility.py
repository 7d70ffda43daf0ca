"""What a changed sweep file may change: it may ask for more and for less, and not make trials incomparable."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from regtune.core.errors import Refused, shown
from regtune.core.header import SweepRecord
from regtune.core.metric import METRICS
from regtune.core.records import Json
from regtune.core.sources import same_sources
from regtune.storage.environment import describe, environment_changes

# What changes no number of a trial.
FREE = (
    "cluster.labels",
    "cluster.retries",
    "cluster.checkpoint_seconds",
    "cluster.hours_per_trial",
    "cluster.lane_width",  # the log says how each trial was trained
    "cluster.pending",
    "confirm.metric",  # but in a race, which decides by it who continues
    "confirm.relevant",
    "confirm.scope",  # rivals are added, or count no more
    "confirm.weights",
    "search.sampling",  # a log resumes by the rules that it began with
    "search.trials",  # what trials an arm gets is compared arm by arm
    "search.trials_per_knob",
)


READ = ("metric", "relevant", "scope", "seeds")  # of [confirm], by tables
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


class Changed(NamedTuple):
    """What a sweep has more and what it has less than another, in words; what it has less stays in its log."""

    more: list[str]
    less: list[str]


def check_same(log: Path, rows: Sequence[Json], sweep: Json, mended: Collection[str] = ()) -> list[str]:
    """Return in a line each what a sweep (as `Sweep.plain()` has it) adds to that of a log with these rows, and what
    it leaves out.

    Plugins that were `mended` may be others, since the arms that use them are trained again. Raises Refused if trials
    of the two could not be compared, or the log lacks what verdicts are to be by; warns where the machine is another
    one.
    """
    headers = [row for row in rows if row["event"] == "header"]
    if not headers:
        return []
    # An arm that was left out is known to the log all the same: it may come back, and only as it was.
    known = {name: arm for row in headers for name, arm in row["sweep"]["arms"].items()}
    try:
        found = changed(headers[-1]["sweep"], json.loads(json.dumps(sweep)), known, mended)
        _check_recorded(rows, sweep)
    except Refused as error:
        raise Refused(f"{log}: {error}") from error
    if unlike := environment_changes(headers[-1], describe()):
        warnings.warn(f"{log}: resumes a log that other software or hardware began: {'; '.join(unlike)}", stacklevel=3)
    return [f"added: {text}" for text in found.more] + [f"left out: {text}" for text in found.less]


def _check_recorded(rows: Sequence[Json], sweep: Json) -> None:
    """Raise Refused where verdicts are to be by a metric that was not recorded of every trial of confirm and rivals."""
    newest = {tuple(row["cell"]): row["outcome"] for row in rows if row["event"] == "ended"}
    tested = [out for (_, phase, _), out in newest.items() if phase in ("confirm", "rivals") and out["status"] == "ok"]
    wanted = SweepRecord.of(sweep).confirm.metric.test
    lacking = sum(wanted not in outcome["metrics"] for outcome in tested)
    if lacking:
        known = [name for name, metric in METRICS.items() if all(metric.test in out["metrics"] for out in tested)]
        raise Refused(
            f"confirm.metric: expected one that every confirmed trial in the log has ({', '.join(known)}), given "
            f"{sweep['confirm']['metric']!r}: {wanted} was not recorded of {lacking} of "
            f"{len(tested)}; take one of those, or train the sweep again under another name"
        )


def reworded(rows: Sequence[Json], sweep: Json) -> Json | None:
    """Return the fields of a further header where nothing is left to run and tables are to say other than the newest.

    Tables are made from the log alone: from its arms with their trials, and of the settings that are free from those
    in `READ`. None where these are as they were.
    """
    newest = next((row for row in reversed(rows) if row["event"] == "header"), None)
    if newest is None:
        return None

    def read(sweep: Json) -> object:
        trials = {name: arm["trials"] for name, arm in sweep["arms"].items()}
        return sweep.get("aa"), [*trials.items()], [sweep["confirm"].get(name) for name in READ]

    if read(newest["sweep"]) == read(sweep):
        return None
    return {name: value for name, value in newest.items() if name not in ("event", "time")} | {"sweep": sweep}


def changed(before: Json, after: Json, known: Json | None = None, mended: Collection[str] = ()) -> Changed:
    """Return what the sweep `after` has more and less than the sweep `before` (both as `Sweep.plain()` has them).

    Trials, seeds and arms may be more or fewer; terms of the cluster are free. `known` are arms of before by name,
    those that were left out since included. A race has split its error over the seeds that it may take at most, so
    there other seeds are refused. Raises Refused with the list of all other differences, since trials before and after
    them could not be compared.
    """
    more, less, refused = list[str](), list[str](), list[Change]()
    gone = {name: arm for name, arm in (known or {}).items() if name in after["arms"] and name not in before["arms"]}
    was = {**before, "arms": before["arms"] | {name: {**arm, "trials": 0} for name, arm in gone.items()}}
    both = _in_words(was, after)
    for change in sorted(_changes(*both), key=lambda change: change.path.startswith("arms")):
        parts = change.path.split(".")
        seeds = change.path == "confirm.seeds" and not after["confirm"].get("racing")
        raced = change.path == "confirm.metric" and after["confirm"].get("racing")
        if ".".join(parts[:2]) in FREE and not raced:
            continue
        if parts[0] == "plugins" and (change.path[8:] in mended or same_sources(change.was, change.now)):
            continue
        if parts == ["aa"]:  # a copy is added, or counts no more
            more += ["a hidden copy of the baseline"] if change.was == NOTHING else []
        elif parts[0] == "arms" and len(parts) == 2 and change.was == NOTHING:
            more.append(f"new arm {parts[1]}")
        elif parts[0] == "arms" and len(parts) == 2 and change.now == NOTHING and parts[1] != next(iter(was["arms"])):
            less.append(f"arm {parts[1]}")
        elif parts[0] == "arms" and parts[2:] == ["trials"] and parts[1] in gone:
            more.append(f"arm {parts[1]} again")
        elif seeds or (parts[0] == "arms" and parts[2:] == ["trials"]):
            (more if int(change.now) > int(change.was) else less).append(str(change))
        else:
            refused.append(change)
    first, now_first = next(iter(before["arms"])), next(iter(after["arms"]))
    if first != now_first and first in after["arms"]:
        refused.append(Change("the first arm, which others are compared with", first, now_first))
    if refused:
        rest = f" and {len(refused) - MOST_SHOWN} more" if len(refused) > MOST_SHOWN else ""
        only = all(change.path.startswith("plugins.") and change.was != NOTHING for change in refused)
        mend = "; or retrain the arms that use the changed plugin with --retry-failed" if only else ""
        if lost := [name for name in before.get("plugins", ()) if name not in after.get("plugins", ())]:
            mend += f"; or keep {', '.join(lost)} in plugins: every trial of the log names it"
        raise Refused(
            f"holds a sweep that differs in {'; '.join(map(str, refused[:MOST_SHOWN]))}{rest}; trials of the two "
            f"could not be compared: give the changed sweep another name or move the folder away{mend}"
        )
    return Changed(more, less)


def _in_words(before: Json, after: Json) -> tuple[Json, Json]:
    """Return two sweeps whose arms have their searched ranges in the words of a sweep file.

    Logs of before have what Optuna printed, in an order that is Optuna's; words that differ are values that do.
    """
    one, other = ({name: arm["space"] for name, arm in sweep["arms"].items()} for sweep in (before, after))
    if one == other:
        return before, after
    from regtune.core.distributions import read, words  # Optuna costs time, and tables over repeats need it only here

    def told(sweep: Json) -> Json:
        arms = {
            name: {**arm, "space": {path: words(read(row)) for path, row in arm["space"].items()}}
            for name, arm in sweep["arms"].items()
        }
        return {**sweep, "arms": arms}

    return told(before), told(after)


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
