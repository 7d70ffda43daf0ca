"""What a log says of every trial key of a sweep, taken row by row."""

from __future__ import annotations

from typing import Any

from regtune.core.copies import copy_name, is_copy
from regtune.core.halving import split_number
from regtune.core.header import SweepRecord
from regtune.core.metric import ASKED, CLASSWISE, METRICS
from regtune.core.records import Json, TrialKey
from regtune.core.reused import REUSED, origin_words
from regtune.results.epoch_table import EpochTable
from regtune.storage.bundles import BUNDLE, EPOCH, Bundle

GAP = "gap"  # train minus test accuracy: not measured, made of what was
# What tables show the mean of, in the order of their columns.
TABLE_METRICS = (
    "test_accuracy",
    "test_accuracy_last",
    "test_loss",
    "test_ece",
    "train_accuracy",
    GAP,
    "weight_norm",
    "zero_share",
    "distance",
    "train_nc1",
    "val_nc1",
    "train_cdnv",
    "val_cdnv",
)
# Every number that a trial may end with.
MEASURED_METRICS = (
    "val_accuracy",
    "val_loss",
    "val_ece",
    *ASKED,
    "train_loss",
    *(name for name in TABLE_METRICS if name != GAP),
    "test_loss_last",
    *(METRICS[name].test for name in CLASSWISE),
    "retrain_epochs",
    "target_reached",
)

_NOT_ASKED: Json = dict.fromkeys(ASKED)


class Replay:
    """The trial keys of the rows so far. `rows` are all but those of epochs, `newest` the time of the last row."""

    def __init__(self) -> None:
        self.rows: list[Json] = []
        self.keys: dict[TrialKey, Json] = {}
        self.plain_trials: dict[TrialKey, Json] = {}
        self.runs: dict[TrialKey, int] = {}
        self.epochs = EpochTable()
        self.newest = 0.0

    def take(self, row: Json) -> None:
        """Take the next row."""
        self.newest = row.get("time", 0.0)
        if row["event"] == EPOCH:
            self._epoch(row)
            return
        if row["event"] == BUNDLE:
            self._epochs(Bundle(row))
            return
        self.rows.append(row)
        if row["event"] == "retry":
            self._again(row)
        if "cell" not in row:
            return
        key = TrialKey(*row["cell"])
        if row["event"] == "asked":
            # A trial key of confirm is asked for again where its arm has another choice: the newest counts.
            self.plain_trials[key], self.runs[key] = row["trial"], self.epochs.begin(key)
            asked = {"status": "running", "id": row["id"], "seed": row["trial"]["seed"], "params": row["params"]}
            self.keys[key] = empty_row(key) | asked
        elif row["event"] == "started":
            self.keys[key]["reused_from"] = origin_words(row)
            self.epochs.take_over(self.runs[key], taken=REUSED in row)
            if self.keys[key]["status"] == "lost":  # tried again, with more retries
                self.keys[key] |= {"status": "running", "message": ""}
        elif row["event"] == "fault":
            self.keys[key]["faults"] += 1
        elif row["event"] == "ended":
            outcome = row["outcome"]
            fields = {name: outcome[name] for name in ("status", "message", "kept")} | {"spared": row.get("spared")}
            self.keys[key] |= fields | {"test_right": outcome.get("test_right", "")} | outcome["metrics"]

    def of(self, sweep: SweepRecord) -> dict[TrialKey, Json]:
        """Return the keys that a sweep has a place for; the epochs of others, which are forgotten, count as spent."""
        for key in [key for key in self.keys if not asked_for(key, sweep)]:
            del self.keys[key]
            self.runs.pop(key, None)
        return self.keys

    def runs_of(self, *, copies: bool) -> tuple[list[int], list[int]]:
        """Return the runs that count and those that no longer do, of the arms, or of the hidden `copies`."""
        counting = [run for key, run in self.runs.items() if is_copy(key.arm) == copies]
        others = sorted(set(range(self.epochs.runs)) - set(self.runs.values()))
        return counting, [run for run in others if is_copy(self.epochs.arm(run)) == copies]

    def _again(self, row: Json) -> None:
        """Restart trials that are trained again on request, see `retry`."""
        for key in (TrialKey(*key) for key in row["cells"]):
            if key in self.keys:
                asked = {name: self.keys[key][name] for name in ("id", "seed", "params")}
                self.keys[key] = empty_row(key) | asked | {"status": "running"}
                self.runs[key] = self.epochs.begin(key)

    def _epoch(self, row: Json) -> None:
        key: Any = tuple(row["cell"])  # equal to the TrialKey, and made in a third of the time
        entry, epoch = self.keys[key], row["epoch"]
        self.epochs.add(self.runs[key], epoch)
        entry["epochs"] = epoch["number"]
        entry["seconds"] += epoch["seconds"]
        # In retraining the validation examples are trained on. An epoch that is not kept keeps what was kept before.
        if epoch["kept"] == epoch["number"] and epoch.get("stage", "train") == "train":
            entry["val_accuracy"], entry["val_loss"] = epoch["val_accuracy"], epoch["val_loss"]
            entry.update({name: epoch.get(name) for name in ASKED})

    def _epochs(self, bundle: Bundle) -> None:
        """Take many epochs at once."""
        cells = bundle.cells
        columns = {name: bundle.column(name) for name in bundle.names}
        self.epochs.add_many([self.runs[cell] for cell in cells], columns)
        asked = [(name, columns[name]) for name in ASKED if name in columns]
        numbers, kept, seconds = columns["number"], columns["kept"], columns["seconds"]
        accuracy, loss, stages = columns["val_accuracy"], columns["val_loss"], bundle.column("stage")
        for place, cell in enumerate(cells):
            entry = self.keys[cell]
            entry["epochs"] = number = numbers[place]
            entry["seconds"] += seconds[place]
            if kept[place] == number and stages[place] in (None, "train"):
                entry["val_accuracy"], entry["val_loss"] = accuracy[place], loss[place]
                entry.update(_NOT_ASKED)
                for name, values in asked:
                    entry[name] = values[place]


def empty_rows(sweep: SweepRecord) -> dict[TrialKey, dict[str, Any]]:
    """Return an empty row for every planned trial key."""
    planned = [TrialKey(arm, "search", number) for arm, row in sweep.arms.items() for number in range(row.trials)]
    planned += [TrialKey(arm, "confirm", number) for arm in sweep.arms for number in range(sweep.confirm.seeds)]
    return {key: empty_row(key) for key in planned}


def asked_for(key: TrialKey, sweep: SweepRecord) -> bool:
    """Return whether a sweep has a place for a trial key: what it had before stays in the log."""
    baseline = sweep.baseline
    arm = baseline if key.arm == copy_name(baseline) else key.arm
    if arm not in sweep.arms:
        return False
    trials, seeds = sweep.arms[arm].trials, sweep.confirm.seeds
    if key.phase in ("search", "confirm"):
        return bool(key.number < (trials if key.phase == "search" else seeds))
    number, seed = split_number(key.number)
    return bool(number < trials and (key.phase == "select" or seed < seeds))


def empty_row(key: TrialKey) -> dict[str, Any]:
    """Return the row of a trial key that was never asked for."""
    return {
        **dict(zip(TrialKey._fields, key, strict=True)),
        "status": "missing",
        "id": None,
        "seed": None,
        "params": {},
        "epochs": 0,
        "seconds": 0.0,
        "kept": 0,
        "message": "",
        "faults": 0,
        "reused_from": "",
        "spared": None,
        "test_right": "",
        **dict.fromkeys(MEASURED_METRICS),
    }
