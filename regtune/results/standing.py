"""How a sweep stands, counted from its log as it grows: trials by arm, what is left, the lease of who runs it.

Frames are not made, so that a log of a million epochs costs little, and of one that has grown only the new rows are
read.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.header import SweepRecord
from regtune.core.records import Json, TrialKey
from regtune.core.reused import is_reused
from regtune.pruners import pruning_of
from regtune.results.replay import asked_for
from regtune.storage.bundles import BUNDLE, EPOCH, Bundle
from regtune.storage.layout import log_in
from regtune.storage.log import LogFile
from regtune.storage.shape import refused_if_misshapen

ENOUGH = 20  # epochs of a run before its speed says how long it will take
MOST_MESSAGES = 20
RUNNING, INTERRUPTED = "running", "interrupted"


class NotBegun(Refused):
    """A log without a header: its run has a lease, at most, and no damage."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who runs a sweep: the `host` as `lease.here` names one, the process, and until when that is known."""

    host: str
    pid: int
    until: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a log stands. `counts` has by arm and phase how many trials have each status, planned ones as "missing".

    `epochs` is how many were trained, `began` and `newest` are the times of the first row and of the last. `holder` is
    None where nobody runs the sweep. `limit` says which limit ended search in the newest run. `seconds_left` is what
    is expected of a run that is under way, at most where the sweep races. `messages` has those of the newest trials
    that ended badly, by trial key. Rows behind these begin at `place`, and `seal` is the checksum of the last of these.
    """

    sweep: SweepRecord
    counts: dict[str, dict[str, dict[str, int]]]
    epochs: int
    began: float
    newest: float
    holder: Holder | None
    limit: str
    seconds_left: float | None
    messages: dict[str, str]
    place: int
    seal: int


class _Tally:
    """The trials of an arm in a phase: how many have each status, and how many epochs those took that ended."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.statuses: Counter[str] = Counter()
        self.epochs_of_ended = 0

    def take(self, statuses: Counter[str], epochs: int) -> None:
        self.statuses, self.epochs_of_ended = statuses, epochs

    def named(self, *, running: bool) -> dict[str, int]:
        """Return the counts; nobody trains the running ones of a sweep that nobody runs."""
        found = {INTERRUPTED if each == RUNNING and not running else each: n for each, n in self.statuses.items()}
        missing = self.planned - self.statuses.total()
        return found | ({"missing": missing} if missing > 0 else {})

    def epochs_left(self, most: int) -> float:
        """Estimate the epochs to come: what ended trials took on average, at first the most."""
        ended = self.statuses.total() - self.statuses[RUNNING]
        each = self.epochs_of_ended / ended if ended else most
        return max(self.planned - ended, self.statuses[RUNNING]) * each


class Follower:
    """Follows the log of a folder; `standing` reads what is new. May be asked from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._told: tuple[float, Standing] | None = None  # when, and what
        self._seen: object = None  # what the file was when it was read
        self._refused: tuple[object, str] | None = None  # what it was when it could not be, and why
        self._size, self._seal = 0, 0
        self._sweep: SweepRecord | None = None
        self._status: dict[TrialKey, str] = {}
        self._trials: dict[tuple[str, str], list[TrialKey]] = {}  # those asked for, by arm and phase
        self._counts: dict[tuple[str, str], tuple[Counter[str], int]] = {}
        self._moved: set[tuple[str, str]] = set()  # arms and phases that `_counts` does not know as they are now
        self._epochs: Counter[TrialKey] = Counter()
        self._messages: dict[TrialKey, str] = {}
        self._taken: set[TrialKey] = set()  # whose epochs come without training
        self._lease: Json | None = None
        self._limit = ""
        self._began = self._newest = self._run = 0.0  # times: of the first row, the last, the newest run's first epoch
        self._epochs_of_run = self._trained_ever = 0

    def standing(self, seconds_old: float = 0.0) -> Standing:
        """Return how the log stands now, of a sweep that runs at most so many seconds ago: its log never rests.

        Raises Refused where there is none, or one that is damaged.
        """
        with self._lock:
            if self._told is not None and self._told[1].holder and time.monotonic() < self._told[0] + seconds_old:
                return self._told[1]
            try:
                seen = file_state(log_in(self._folder))
                if self._refused is not None and self._refused[0] == seen:
                    raise Refused(self._refused[1])
                self._read(seen)
            except OSError as error:
                self._forget()
                raise Refused(f"{self._folder.name}: expected a log, given {error.strerror or error}") from error
            except Refused as error:
                self._forget()
                self._refused = seen, str(error)  # a damaged log is not read again until it is another one
                raise
            if self._sweep is None:
                raise NotBegun(
                    f"{self._folder.name}: expected a log with a header, given one without; it has not begun"
                )
            with refused_if_misshapen(log_in(self._folder)):
                self._told = time.monotonic(), self._standing(self._sweep)
            return self._told[1]

    def _read(self, seen: object) -> None:
        """Take the rows that came; of a log that is not the one it was all of them."""
        if seen == self._seen:
            return
        log, place = LogFile(log_in(self._folder)), self._size
        try:
            reading, begin = log.reading(place, self._seal), None
            with refused_if_misshapen(log.path, lambda: begin):
                for begin, row in reading.as_written():  # noqa: B007 - the refusal says it
                    self._take(row)
            other = log.end < place
        except Refused:
            if not place:
                raise
            other = True
        if other:  # perhaps the sweep was begun anew
            self._forget()
            self._read(seen)
        else:
            self._size, self._seal, self._seen = reading.size - reading.torn, reading.seal, seen

    def _take(self, row: Json) -> None:
        self._newest = float(row.get("time", 0.0))
        self._began = self._began or self._newest
        event = row["event"]
        if event == EPOCH:
            self._trained([TrialKey(*row["cell"])])
        elif event == BUNDLE:
            self._trained([TrialKey(*cell) for cell in Bundle(row).cells])
        elif event == "header":
            self._sweep, self._limit = SweepRecord.of(row["sweep"]), ""
            self._trials, self._counts, self._moved = {}, {}, set()
            for key in self._status:
                self._place(key, self._sweep)
            self._run, self._epochs_of_run = 0.0, 0
        elif event == "lease":
            self._lease = {"host": str(row["host"]), "pid": int(row["pid"]), "seconds": float(row["seconds"])}
        elif event == "limit":
            self._limit = str(row["message"])
        elif event == "retry":
            for cell in row["cells"]:
                self._begin(TrialKey(*cell))
        elif "cell" in row:
            self._of_trial(TrialKey(*row["cell"]), event, row)

    def _of_trial(self, key: TrialKey, event: str, row: Json) -> None:
        if event == "asked" or (event == "started" and self._status.get(key) == "lost"):
            self._begin(key)
        if event == "started":
            (self._taken.add if is_reused(row) else self._taken.discard)(key)
        if event == "ended":
            self._move(key, str(row["outcome"]["status"]))
            if message := row["outcome"]["message"]:
                self._messages[key] = str(message)

    def _begin(self, key: TrialKey) -> None:
        self._move(key, RUNNING)
        self._epochs[key] = 0
        self._messages.pop(key, None)

    def _move(self, key: TrialKey, status: str) -> None:
        if key not in self._status and self._sweep is not None:
            self._place(key, self._sweep)
        self._status[key] = status
        if (phase := (key.arm, key.phase)) in self._trials:
            self._moved.add(phase)

    def _place(self, key: TrialKey, sweep: SweepRecord) -> None:
        if asked_for(key, sweep):
            phase = key.arm, key.phase
            self._trials.setdefault(phase, []).append(key)
            self._moved.add(phase)

    def _trained(self, keys: list[TrialKey]) -> None:
        self._epochs.update(keys)
        self._trained_ever += len(keys)
        if self._run:
            self._epochs_of_run += sum(key not in self._taken for key in keys)
        self._run = self._run or self._newest

    def _standing(self, sweep: SweepRecord) -> Standing:
        seconds = self._lease["seconds"] if self._lease else 0.0
        until = self._newest + seconds
        holder = None
        if self._lease and seconds and until > time.time():
            holder = Holder(host=self._lease["host"], pid=self._lease["pid"], until=until)
        tallies = self._tallies(sweep)
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for (arm, phase), tally in tallies.items():
            counts.setdefault(arm, {})[phase] = tally.named(running=holder is not None)
        return Standing(
            sweep=sweep,
            counts=counts,
            epochs=self._trained_ever,
            began=self._began,
            newest=self._newest,
            holder=holder,
            limit=self._limit,
            seconds_left=self._seconds_left(sweep, tallies) if holder else None,
            messages={str(key): text for key, text in [*self._messages.items()][-MOST_MESSAGES:]},
            place=self._size,
            seal=self._seal,
        )

    def _tallies(self, sweep: SweepRecord) -> dict[tuple[str, str], _Tally]:
        """Return the tally of every arm in every phase that it has trials of."""
        seeds = sweep.confirm.seeds
        planned = {(arm, phase): n for arm, row in sweep.arms.items() for phase, n in _planned(row.trials, seeds)}
        if sweep.copy is not None:
            trials = sweep.arms[sweep.baseline].trials
            of_copy = _planned(trials, seeds)
            # Where draws are paired it has the baseline's search, see `core.copies`.
            planned |= {(sweep.copy, phase): n for phase, n in of_copy if not (sweep.paired and phase == "search")}
        tallies = {key: _Tally(number) for key, number in planned.items()}
        for phase, (statuses, epochs) in self._counted().items():
            tallies.setdefault(phase, _Tally(0)).take(statuses, epochs)
        return tallies

    def _counted(self) -> dict[tuple[str, str], tuple[Counter[str], int]]:
        """Return for every arm and phase the statuses of its trials, and the epochs of those that ended.

        Those whose trials have not moved since were counted before: a sweep of many trials is looked at often.
        """
        for phase in self._moved:
            keys = self._trials[phase]
            epochs = sum(self._epochs[key] for key in keys if self._status[key] != RUNNING)
            self._counts[phase] = Counter(self._status[key] for key in keys), epochs
        self._moved.clear()
        return self._counts

    def _seconds_left(self, sweep: SweepRecord, tallies: dict[tuple[str, str], _Tally]) -> float | None:
        """Estimate the time to the end from the speed of the newest run; None before there is one."""
        took = self._newest - self._run
        if self._epochs_of_run < ENOUGH or took <= 0:
            return None
        once = int(sweep.template["epochs"])
        again = {"none": 0, "loss": sweep.confirm.retrain_cap}.get(sweep.confirm.retrain, once)
        most = {"search": pruning_of(sweep).most_epochs, "select": once}
        left = sum(tally.epochs_left(most.get(phase, once + again)) for (_, phase), tally in tallies.items())
        return left * took / self._epochs_of_run


def file_state(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from the one it was before; raises OSError where there is none."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _planned(trials: int, seeds: int) -> list[tuple[str, int]]:
    """Return how many trials an arm has in each phase that is planned from the beginning; others plan as they go."""
    return [("search", trials), ("confirm", seeds)]
