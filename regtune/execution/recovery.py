"""What a log says of the trials of a phase: which have ended, and how far the others have come.

Reading it is also telling it to the scheduler, which by then knows what the scheduler of the earlier driver knew.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from regtune.core.collection import gc_paused
from regtune.core.records import Epoch, Json, Outcome, PhaseName, Trial, TrialKey
from regtune.execution.watch import Watch, many_of
from regtune.search.scheduler import Scheduler, Suggestion
from regtune.storage.bundles import BUNDLE, Bundle
from regtune.storage.log import Writer


@dataclass(kw_only=True)
class TrialProgress:
    """What is known of a trial that has not ended: how many epochs it has and where they are in the log, where it was
    trained, what happened to it.

    `recorded` says whether the log has that it was asked for. `been` has the place of every attempt that reported, the
    newest last. `after` is the epoch of the checkpoint that the attempt under way resumes from, 0 for its beginning;
    `started` says whether it has reported, `differs` whether it gave other numbers than an earlier one. `faults` has
    the node of each fault, "" for an unknown one.
    `taken` is what its started row says of the trial whose numbers it has without being trained, see `reused`.
    """

    asked: Suggestion
    recorded: bool = True
    epochs: int = 0
    places: array[int] = field(default_factory=lambda: array("q"))
    been: list[Mapping[str, str]] = field(default_factory=list)
    after: int = 0
    started: bool = False
    differs: bool = False
    faults: list[str] = field(default_factory=list)
    taken: Json = field(default_factory=dict)


class Recovery:
    """The trials of a phase: `open` those under way, `ended` the others, `decided` those that end next.

    The end of a `decided` trial was known when its driver was killed, before the row that says so.
    """

    def __init__(
        self, scheduler: Scheduler, log: Writer, retries: int, watch: Watch, phase: PhaseName | None = None
    ) -> None:
        self._scheduler, self._retries, self._watch, self._many = scheduler, retries, watch, many_of(watch)
        self.open: dict[TrialKey, TrialProgress] = {}
        self.ended: set[TrialKey] = set()
        self.decided: dict[TrialKey, Outcome] = {}
        # Where search was extended, an arm may have another choice, and its trial keys of confirm were asked for again.
        known = [*zip(log.places, log.rows, strict=True)]
        self._newest = {key_of(row): place for place, row in known if row["event"] == "asked"}
        self._again = {TrialKey(*key): n for n, row in known if row["event"] == "retry" for key in row["cells"]}
        with gc_paused():
            for place, row in log.replay(phase):
                if row["event"] == BUNDLE:
                    self._take_many(place, Bundle(row))
                else:
                    self._take(place, row)

    def _take(self, place: int, row: Json) -> None:
        """Take the next row of an earlier driver, and let it be watched if it still counts."""
        key = key_of(row)
        if key is None or not self._scheduler.has(key) or place < self._newest.get(key, 0):
            return
        counts = row["event"] == "asked" or place > self._again.get(key, -1)  # to be trained again is to be asked for
        if counts and self._replay(place, key, row):
            self._watch(row["event"], row)

    def _take_many(self, place: int, bundle: Bundle) -> None:
        """Take epochs of an earlier driver at once, of trials that still count."""
        again = self._again
        mine = [
            n for n, cell in enumerate(bundle.cells) if cell in self.open and (not again or place > again.get(cell, -1))
        ]
        if not mine:
            return
        bundle = bundle if len(mine) == len(bundle.cells) else bundle.part(mine)
        for cell in bundle.cells:
            progress = self.open[cell]
            progress.epochs += 1
            progress.places.append(place)
        stopped = self._scheduler.tell_all(bundle)
        ends = [(n, Outcome(**plain)) for n, plain in enumerate(bundle.column("outcome")) if plain]
        ends += [(n, pruned(Epoch.from_plain(bundle.epoch(n)), self._scheduler.why)) for n in stopped]
        self.decided |= {TrialKey(*bundle.cells[n]): outcome for n, outcome in ends}
        self._many(bundle)

    def close(self, key: TrialKey, outcome: Outcome) -> None:
        """Count a trial as ended."""
        self.ended.add(key)
        self.open.pop(key, None)
        self.decided.pop(key, None)
        self._scheduler.end(key, outcome)

    def _replay(self, place: int, key: TrialKey, row: Json) -> bool:
        """Take what a row of an earlier driver says of a trial; return whether it still counts."""
        if row["event"] == "asked":
            asked = Suggestion(key, Trial.from_plain(row["trial"]), row["params"])
            if not self._scheduler.matches(asked):
                return False
            self.open[key] = TrialProgress(asked=asked)
            self._scheduler.asked_before(asked)
            return True
        if key not in self.open:
            return False
        progress = self.open[key]
        if row["event"] == "started":
            progress.been.append(row["where"])
        elif row["event"] == "epoch":
            epoch = Epoch.from_plain(row["epoch"])
            progress.epochs += 1
            progress.places.append(place)
            if self._scheduler.tell(key, epoch) == "stop":
                self.decided[key] = pruned(epoch, self._scheduler.why)
            elif epoch.outcome is not None:
                self.decided[key] = epoch.outcome
        elif row["event"] == "fault":
            progress.faults.append(row["node"])
        elif row["event"] == "ended":
            outcome = Outcome(**row["outcome"])
            if outcome.status == "lost" and len(progress.faults) <= self._retries:
                return False  # more retries are allowed now
            self.close(key, outcome)
        return True


def key_of(row: Json) -> TrialKey | None:
    """Return the trial key that a row of the log is about, None for rows about the sweep."""
    return TrialKey(*row["cell"]) if "cell" in row else None


def pruned(epoch: Epoch, why: str) -> Outcome:
    """Return the outcome of a trial that was stopped after an epoch."""
    return Outcome(status="pruned", message=f"after epoch {epoch.number} {why}", kept=epoch.kept)


def unlike(epoch: Epoch) -> Outcome:
    """Return the outcome of a trial that gives other numbers where it should give the same."""
    message = f"restarted, it gave other numbers in epoch {epoch.number} than the log has: not the same trial here"
    return Outcome(status="failed", message=message, kept=epoch.kept)
