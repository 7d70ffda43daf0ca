"""What trials have done that ended well, by id: a key that asks for one of them again has it without training.

Equal trials have equal ids and give equal numbers, whichever arm or phase they are for: a choice that select makes may
be a rival after an extension, and an arm whose switches are off holds the baseline. Trials that did not end well are
trained where they are asked for: one that was pruned was so within its arm, and what failed may have been mended.
What other logs have may be lent, see `reuse`: it is given where this log has nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from regtune.core.records import SAME, Epoch, Json, TrialKey
from regtune.core.reused import REUSED


class TrainedRun(NamedTuple):
    """The epochs of a trial, the trial key that it was trained for, and where.

    `folder` is the results folder of another log that they are of, None for this one. `origin` is from where they were
    reused, as a started row has it under `reused.REUSED`, None for what was trained here.
    """

    key: TrialKey
    epochs: Sequence[Epoch]
    where: Mapping[str, str]
    folder: str | None = None
    origin: Json | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedTrial:
    """What a log says of a trial: its rows from `asked` on, and the headers under which they stand."""

    rows: list[Json]
    headers: list[Json] = field(default_factory=list)

    @property
    def key(self) -> TrialKey:
        """The trial key that the trial was asked for."""
        return TrialKey(*self.rows[0]["cell"])

    @property
    def status(self) -> str:
        """How the trial has ended; empty where it has not."""
        return str(self.rows[-1]["outcome"]["status"]) if self.rows[-1]["event"] == "ended" else ""

    def run(self) -> TrainedRun:
        """Return the trial's epochs and where they are from."""
        epochs = [Epoch.from_plain(row["epoch"]) for row in self.rows if row["event"] == "epoch"]
        started = [row for row in self.rows if row["event"] == "started"]
        newest = started[-1] if started else {"where": {}}
        return TrainedRun(self.key, epochs, newest["where"], origin=newest.get(REUSED))


def recorded_trial(rows: Iterable[Json]) -> dict[str, RecordedTrial]:
    """Return what these rows say of each trial, by id: of those that ended well the newest, else the newest.

    A trial that was trained again on request counts from there: before, its plugin may have been another.
    """
    found: dict[str, RecordedTrial] = {}
    now: dict[TrialKey, RecordedTrial] = {}
    header: Json | None = None
    for row in rows:
        if row["event"] == "header":
            header = row
        elif row["event"] == "retry":
            for again in (TrialKey(*each) for each in row["cells"]):
                if again in now:
                    asked = now[again].rows[0]
                    now[again] = found[asked["id"]] = RecordedTrial(rows=[asked])
        key = TrialKey(*row["cell"]) if "cell" in row else None
        if key is not None and row["event"] == "asked":
            now[key] = RecordedTrial(rows=[])
            found.setdefault(row["id"], now[key])
        if key is None or key not in now:
            continue
        mine = now[key]
        mine.rows.append(row)
        if header is not None and not any(header is each for each in mine.headers):
            mine.headers.append(header)
        if row["event"] == "started" and SAME in row and (lender := now.get(TrialKey(*row[SAME]))) is not None:
            # What another key of this log lent was trained under the headers of that one.
            mine.headers[:0] = [each for each in lender.headers if not any(each is one for one in mine.headers)]
        trial = mine.rows[0]["id"]
        if row["event"] == "ended" and (mine.status == "ok" or found[trial].status != "ok"):
            found[trial] = mine
    return found


class Trained:
    """The runs of a log with these rows, and those that are kept since; of each trial the newest."""

    def __init__(self, rows: Sequence[Json]) -> None:
        self._runs: dict[str, TrainedRun] = {}
        # No more than the log holds of them already.
        self._told = {trial: each for trial, each in recorded_trial(rows).items() if each.status == "ok"}
        self._lent: Mapping[str, TrainedRun] = {}

    def keep(self, trial: str, run: TrainedRun) -> None:
        """Take note of a trial that has ended well."""
        self._runs[trial] = run

    def lend(self, runs: Mapping[str, TrainedRun]) -> None:
        """Have what other logs hold given too: runs by the id of their trial, of which some were ended early."""
        self._lent = runs

    def find(self, trial: str) -> TrainedRun | None:
        """Return the run of a trial by its id, None where it has to be trained."""
        if trial not in self._runs and trial in self._told:
            self._runs[trial] = self._told.pop(trial).run()
        run = self._runs.get(trial)
        if run is not None and run.epochs and run.epochs[-1].outcome is not None:
            return run
        return self._lent.get(trial)
