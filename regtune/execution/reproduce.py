"""A recorded trial, trained again in this process: is every number identical, and what did it raise?"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from regtune.core.errors import Refused, nearest, shown
from regtune.core.records import Epoch, Json, Trial, TrialKey
from regtune.data import DataLocation, Splits
from regtune.execution.trial_environment import environment_changes_since
from regtune.execution.try_out import trained
from regtune.results.loader import Results, load
from regtune.storage.environment import LANE, stood
from regtune.storage.layout import log_in
from regtune.storage.log import LogFile
from regtune.training.build import load_pool, split_data
from regtune.training.trainer import train


def reproduce(folder: Path, row: str, place: DataLocation) -> int:
    """Train a recorded trial again and say whether every number of every epoch is identical.

    One that failed is trained until it raises, and the whole traceback is printed. Returns the exit code: 0 if
    identical, 1 if not or if it raises again, 3 if the machine makes that no surprise.
    """
    results = load(folder)
    key = find_trial(results, row)
    trial = Trial.from_plain(results.plain_trials[key])
    header, recorded, width = recorded_epochs(results, key)
    failed, message = _failed(results, key)
    if not recorded and not failed:
        raise Refused(f"--row {row}: expected a trial with epochs, this one ended before its first")
    print(f"{key}: {trial.id}, {len(recorded)} recorded epochs")
    pool = load_pool(trial, place)
    data, differing = split_data(trial, pool), list[str]()
    if failed:
        print(f"it failed: {message}", flush=True)
        return _raised_again(trial, data, environment_changes_since(header, trial, pool))
    epochs = train(trial, data=data, width=width)
    for then in recorded:  # a pruned trial would continue; only what is recorded is trained again
        differing += changed_numbers(then, next(epochs, None))
    if not differing:
        print(f"identical: every number of {len(recorded)} epochs")
        return 0
    print(f"{len(differing)} numbers differ, the first: {differing[0]}")
    if unlike := environment_changes_since(header, trial, pool):
        print(f"not comparable bit for bit, because {'; '.join(unlike)}")
        return 3
    print("not identical although software and processor are the same")
    return 1


def changed_numbers(then: Json, epoch: Epoch | None) -> list[str]:
    """Return in words each number of a recorded epoch that is another one now; of an epoch that is not there all."""
    now = _as_recorded(epoch.numbers(), then) if epoch else dict.fromkeys(then, "nothing")
    return [
        f"epoch {then['number']} {name}: {then[name]} then, {now[name]} now" for name in then if then[name] != now[name]
    ]


def _as_recorded(now: Json, then: Json) -> Json:
    """Return the numbers of an epoch without metrics that were not yet measured when the log was written."""
    if not now["outcome"] or not then["outcome"]:
        return now
    known = then["outcome"]["metrics"]
    metrics = {name: value for name, value in now["outcome"]["metrics"].items() if name in known}
    return now | {"outcome": now["outcome"] | {"metrics": metrics}}


def _failed(results: Results, key: TrialKey) -> tuple[bool, str]:
    """Return whether a recorded trial failed, and with which message."""
    trials = results.trials
    mine = trials[(trials["arm"] == key.arm) & (trials["phase"] == key.phase) & (trials["number"] == key.number)]
    return bool((mine["status"] == "failed").any()), str(mine["message"].iloc[0])


def _raised_again(trial: Trial, data: Splits, changed: Sequence[str]) -> int:
    """Train a trial that failed, and print its epochs and the traceback of what it raises; return the exit code.

    Where it raises nothing, print what has `changed` since.
    """
    try:
        raised = trained(trial, data)
    except Refused:
        traceback.print_exc()
        return 1
    if not raised:
        since = f"; since then {', '.join(changed)}" if changed else ""
        print(f"it did not raise here{since}")
    return raised


def find_trial(results: Results, row: str) -> TrialKey:
    """Return the recorded trial key of an id or of `arm/phase/number`; raises Refused."""
    by_name = {str(key): key for key in results.plain_trials}
    ids = {Trial.from_plain(trial).id: key for key, trial in results.plain_trials.items()}
    found = by_name.get(row) or ids.get(row)
    if found is None:
        raise Refused(f"--row: unknown trial {shown(row)}{nearest(row, [*by_name, *ids])[:200]}")
    return found


class Recorded(NamedTuple):
    """The header under which a trial key was trained, where its worker was, the numbers of its epochs, its lane's
    width.
    """

    header: Json
    epochs: list[Json]
    width: int


def recorded_epochs(results: Results, key: TrialKey) -> Recorded:
    """Return what the log has of a trial key."""
    device = Trial.from_plain(results.plain_trials[key]).device
    header, then, epochs, width = results.header, results.header, list[Json](), 1
    for row in LogFile(log_in(results.path)).reading():
        if row["event"] == "header":
            header = row
        if row["event"] == "retry" and list(key) in row["cells"]:
            epochs = []
        if "cell" not in row or TrialKey(*row["cell"]) != key:
            continue
        if row["event"] == "asked":
            epochs = []
        elif row["event"] == "started":
            then, width = stood(header, row["where"], device), int(row["where"].get(LANE, 1))
        elif row["event"] == "epoch":
            epochs.append(Epoch.from_plain(row["epoch"]).numbers())
    return Recorded(then, epochs, width)
