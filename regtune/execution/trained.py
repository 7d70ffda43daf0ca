"""What trials have done that ended well, by id: a key that asks for one of them again has it without training.

Equal trials have equal ids and give equal numbers, whichever arm or phase they are for: a choice that select makes may
be a rival after an extension, and an arm whose switches are off holds the baseline. Trials that did not end well are
trained where they are asked for: one that was pruned was so within its arm, and what failed may have been mended.
What other logs have may be lent, see `reuse`: it is given where this log has nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from regtune.core.records import SAME, Epoch, Json, TrialKey
from regtune.core.reused import REUSED
from regtune.storage.bundles import BUNDLE, EPOCH, Bundle


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


Read = Callable[[int], Json]  # of a log, by the place of a row
_LOOKED_AT = ("device", "plugins")  # of a trial


@dataclass(frozen=True, kw_only=True)
class RecordedTrial:
    """What a log says of a trial: its rows from `asked` on, and the headers under which they stand.

    Those of its epochs, which are most of a log, are not kept: `places` says where they are.
    """

    rows: list[Json]
    headers: list[Json] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("q"))

    @property
    def key(self) -> TrialKey:
        """The trial key that the trial was asked for."""
        return TrialKey(*self.rows[0]["cell"])

    @property
    def status(self) -> str:
        """How the trial has ended; empty where it has not."""
        return str(self.rows[-1]["outcome"]["status"]) if self.rows[-1]["event"] == "ended" else ""

    def run(self, read: Read) -> TrainedRun:
        """Return the trial's epochs, which are read again, and where they are from."""
        started = [row for row in self.rows if row["event"] == "started"]
        newest = started[-1] if started else {"where": {}}
        return TrainedRun(self.key, epochs_at(self.key, self.places, read), newest["where"], origin=newest.get(REUSED))


def epochs_at(key: TrialKey, places: Iterable[int], read: Read) -> list[Epoch]:
    """Return the epochs of a trial key that are in the rows at these places, once for each place."""
    found, at = list[Epoch](), Counter[int]()
    for place in places:
        row = read(place)
        if row["event"] == BUNDLE:
            bundle = Bundle(row)
            mine = [n for n, cell in enumerate(bundle.cells) if cell == key]
            found.append(Epoch.from_plain(bundle.epoch(mine[at[place]])))
        else:
            found.append(Epoch.from_plain(row["epoch"]))
        at[place] += 1
    return found


class RecordedTrials:
    """What the rows of a log say of each trial, by id: of those that ended well the newest, else the newest.

    A trial that was trained again on request counts from there: before, its plugin may have been another.
    """

    def __init__(self) -> None:
        self.found: dict[str, RecordedTrial] = {}
        self._now: dict[tuple[str, str, int], RecordedTrial] = {}
        self._header: Json | None = None

    def take(self, place: int, row: Json) -> None:
        """Take the next row."""
        if row["event"] == BUNDLE:
            self._take_many(place, Bundle(row))
        else:
            self._take(place, row)

    def _take_many(self, place: int, bundle: Bundle) -> None:
        for cell in bundle.cells:
            if cell in self._now:
                mine = self._now[cell]
                mine.places.append(place)
                if not mine.headers or mine.headers[-1] is not self._header:
                    self._under(mine)

    def _take(self, place: int, row: Json) -> None:
        event, now = row["event"], self._now
        if event == "header":
            self._header = row
        elif event == "retry":
            for again in (TrialKey(*each) for each in row["cells"]):
                if again in now:
                    asked = now[again].rows[0]
                    now[again] = self.found[asked["id"]] = RecordedTrial(rows=[asked])
        key = TrialKey(*row["cell"]) if "cell" in row else None
        if key is not None and event == "asked":
            row = _without_content(row)
            now[key] = RecordedTrial(rows=[])
            self.found.setdefault(row["id"], now[key])
        if key is None or key not in now:
            return
        mine = now[key]
        self._under(mine)
        if event == EPOCH:
            mine.places.append(place)
            return
        mine.rows.append(row)
        if event == "started" and SAME in row and (lender := now.get(TrialKey(*row[SAME]))) is not None:
            # What another key of this log lent was trained under the headers of that one.
            mine.headers[:0] = [each for each in lender.headers if not any(each is one for one in mine.headers)]
        trial = mine.rows[0]["id"]
        if event == "ended" and (mine.status == "ok" or self.found[trial].status != "ok"):
            self.found[trial] = mine

    def _under(self, trial: RecordedTrial) -> None:
        """Take note that a row of a trial stands under the newest header."""
        header, known = self._header, trial.headers
        if header is not None and not (known and known[-1] is header) and not any(header is each for each in known):
            known.append(header)


def _without_content(row: Json) -> Json:
    """Return what is needed of a row that asks for a trial: what this is fills memory, and stands in the log."""
    trial = row.get("trial", {})
    return row | {"trial": {name: trial[name] for name in _LOOKED_AT if name in trial}}


class Trained:
    """The runs of a log that holds these trials, and those that are kept since; of each trial the newest.

    Of each is kept where its epochs are in the log; `read` reads a row there.
    """

    def __init__(self, recorded: RecordedTrials, read: Read) -> None:
        self._runs: dict[str, tuple[TrialKey, array[int], Mapping[str, str], Json | None]] = {}
        self._recorded, self._read = recorded, read
        self._lent: Mapping[str, TrainedRun] = {}

    def keep(
        self, trial: str, key: TrialKey, places: array[int], where: Mapping[str, str], origin: Json | None
    ) -> None:
        """Take note of a trial that has ended well, as `TrainedRun` has it, by the places of its epochs."""
        self._runs[trial] = key, places, where, origin

    def lend(self, runs: Mapping[str, TrainedRun]) -> None:
        """Have what other logs hold given too: runs by the id of their trial, of which some were ended early."""
        self._lent = runs

    def find(self, trial: str) -> TrainedRun | None:
        """Return the run of a trial by its id, None where it has to be trained."""
        run = self._own(trial)
        if run is not None and run.epochs and run.epochs[-1].outcome is not None:
            return run
        return self._lent.get(trial)

    def _own(self, trial: str) -> TrainedRun | None:
        """Return the run of a trial that this log has, ended well."""
        if trial in self._runs:
            key, places, where, origin = self._runs[trial]
            return TrainedRun(key, epochs_at(key, places, self._read), where, origin=origin)
        told = self._recorded.found.get(trial)
        return told.run(self._read) if told is not None and told.status == "ok" else None
