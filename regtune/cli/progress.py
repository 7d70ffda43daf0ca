"""The live display of a sweep: one row per arm with its best score, how its trials stand, what is left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from regtune.cli.in_notebook import Output
from regtune.cli.silence import Silence, minutes
from regtune.core.errors import Refused
from regtune.core.metric import ACCURACY, METRICS
from regtune.core.records import BAD_ENDS, Epoch, Json, TrialKey
from regtune.core.reused import is_reused
from regtune.execution.recovery import key_of
from regtune.execution.watch import Watching
from regtune.pruners import Ladder, Rung, unused
from regtune.storage.bundles import EPOCH, Bundle
from regtune.storage.layout import repeat_words
from regtune.sweep.sweep import Sweep

T = TypeVar("T")
GROWING = ("select", "rivals")  # phases that plan as they go
REFRESHES_PER_SECOND = 4
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_LOOKS = 0.5


class Progress:
    """Counts the events of a sweep; drawn by rich from another thread."""

    def __init__(self, sweep: Sweep, silence: Silence | None = None) -> None:
        self.sweep = sweep
        self._which = repeat_words(sweep.repeat, sweep.search.repeats)
        # Of a race it is known only at its end how many seeds it takes.
        self._most = "at most " if sweep.confirm.racing else ""
        self._lock = threading.Lock()
        self._standing, self._silence = Standing(sweep), silence or Silence()
        self.best = Best(sweep)
        self._epochs_of: dict[TrialKey, int] = {}
        self._started: float | None = None
        self._epochs_now = 0
        self._taken: set[object] = set()  # the trial keys whose epochs come without training
        self.moved = False  # whether there was an event that is not replayed
        self.over = False  # whether the run has ended by itself
        self.tallies = {
            (phase, arm.name): Tally(planned=0 if phase in GROWING else one.most_trials(phase, arm))
            for one, arm in sweep.with_copy
            for phase in sweep.phases
        }

    def watch(self, event: str, row: Json) -> None:
        """Take one event, replayed (it has a time) or new."""
        key = key_of(row)
        if key is None:
            return
        with self._lock:
            tally = self.tallies[key.phase, key.arm]
            self._standing.watch(key, event, row)
            self._silence.watch(key, event, row)
            self.best.watch(key, event, row)
            if event == "asked" and key.phase in GROWING:
                tally.planned += 1
            self.moved = self.moved or "time" not in row
            if event == "started":
                (self._taken.add if is_reused(row) else self._taken.discard)(key)
            if event == "epoch":
                self._epochs_of[key] = self._epochs_of.get(key, 0) + 1
                tally.running.add(key.number)
                if "time" not in row and key not in self._taken:
                    self._started = self._started or time.monotonic()
                    self._epochs_now += 1
            elif event == "ended":
                tally.running.discard(key.number)
                tally.ended[row["outcome"]["status"]] += 1
                tally.epochs_of_ended += self._epochs_of.get(key, 0)

    @property
    def watching(self) -> Watching:
        """What a run calls."""
        return Watching(one=self.watch, many=self._replayed)

    def _replayed(self, bundle: Bundle) -> None:
        """Take many replayed epochs at once."""
        with self._lock:
            self._standing.replayed(bundle)
            self._silence.replayed(bundle)
            self.best.replayed(bundle)
            numbers = bundle.column("number")
            self._epochs_of.update(zip(bundle.cells, numbers, strict=True))
            if 1 in numbers:
                for arm, phase, number in bundle.cells:
                    self.tallies[phase, arm].running.add(number)

    def seconds_left(self) -> float | None:
        """Estimate the time to the end from the speed of this run; None before there is one."""
        if self.over:  # what a race or a limit has left out, and arms that found nothing, is planned all the same
            return 0.0
        if self._started is None or self._epochs_now < 20:
            return None
        epochs_per_second = self._epochs_now / max(time.monotonic() - self._started, 1e-9)
        most = self.sweep.most_epochs
        return sum(tally.epochs_left(most(phase)) for (phase, _), tally in self.tallies.items()) / epochs_per_second

    def __rich__(self) -> Group:
        """Draw the table and a line below it."""
        table = Table(
            title=" · ".join(filter(None, ("regtune", self.sweep.name, self._which))),
            title_justify="left",
            pad_edge=False,
        )
        table.add_column("arm", no_wrap=True)
        search_phase, *others = self.sweep.phases
        metric = METRICS[self.sweep.search.metric]
        best = "best %" if metric == ACCURACY else metric.head("best")
        for name in (search_phase, "run", "ok", "pruned", "failed", best, *others):
            table.add_column(name, justify="right")
        with self._lock:
            for _, arm in self.sweep.with_copy:
                search, *later = every = [self.tallies[phase, arm.name] for phase in self.sweep.phases]
                running = sum(len(tally.running) for tally in every)
                faults = sum(t.ended[s] for t in every for s in BAD_ENDS)
                table.add_row(
                    arm.name,
                    f"{search.ended.total()}/{search.planned}",
                    str(running) if running else "",
                    str(sum(tally.ended["ok"] for tally in every)),
                    str(search.ended["pruned"]),
                    Text(str(faults), style="bold red") if faults else "0",
                    self.best.words(search_phase, arm.name),
                    *(
                        f"{tally.ended.total()}/{self._most if phase == 'confirm' else ''}{tally.planned}"
                        for phase, tally in zip(others, later, strict=True)
                    ),
                )
            left = self.seconds_left()
            said = [Text(words, style="dim") for words in (self._standing.words(), *self._silence.words()) if words]
        return Group(table, *said, Text(f"time left {self._time(left)}", style="dim"))

    def line(self) -> str:
        """Return the state in one line, as logs of runs without a terminal have it."""
        with self._lock:
            done = {phase: self._sum(phase) for phase in self.sweep.phases}
            faults = sum(t.ended[status] for t in self.tallies.values() for status in BAD_ENDS)
            left, silent = self.seconds_left(), self._silence.words()
        most = {"confirm": self._most}
        counts = ", ".join(
            f"{phase} {ended}/{most.get(phase, '')}{planned}" for phase, (ended, planned) in done.items()
        )
        which = f"{self._which}: " if self._which else ""
        return "; ".join([f"{which}{counts}, failed {faults}, time left {self._time(left)}", *silent])

    def searched(self) -> bool:
        """Whether every trial of search has ended."""
        with self._lock:
            ended, planned = self._sum("search")
        return ended == planned

    def _time(self, seconds: float | None) -> str:
        known = "…" if seconds is None else minutes(seconds)
        return known if self.over else f"{self._most}{known}"

    def _sum(self, phase: str) -> tuple[int, int]:
        tallies = [tally for (of, _), tally in self.tallies.items() if of == phase]
        return sum(tally.ended.total() for tally in tallies), sum(tally.planned for tally in tallies)


@contextlib.contextmanager
def live(progress: Progress, console: Console, seconds: float = SECONDS_BETWEEN_LINES) -> Iterator[None]:
    """Show the progress while the block runs.

    A terminal has it live, and so has a notebook. Anything else gets a plain line now and then and when a phase ends,
    and the last state as a table. Nothing is left of it where the block is refused before anything has moved.
    """
    if console.is_terminal:
        with Live(progress, console=console, refresh_per_second=REFRESHES_PER_SECOND) as shown:
            try:
                yield
                progress.over = True
            except Refused:
                shown.transient = not progress.moved
                raise
        return
    if console.is_jupyter:
        with _in_notebook(progress):
            yield
        return
    over, silent = threading.Event(), False
    writer = threading.Thread(target=_write_lines, args=(progress, console, seconds, over), daemon=True)
    writer.start()
    try:
        yield
        progress.over = True
    except Refused:
        silent = not progress.moved
        raise
    finally:
        over.set()
        writer.join()
        if not silent:
            print(progress.line(), file=console.file, flush=True)
            console.print(progress)


@contextlib.contextmanager
def _in_notebook(progress: Progress) -> Iterator[None]:
    output, leave = Output(progress), True
    try:
        yield
        progress.over = True
    except Refused:
        leave = progress.moved
        raise
    finally:
        output.close(leave=leave)


def _write_lines(progress: Progress, console: Console, seconds: float, over: threading.Event) -> None:
    """Print a line every so many seconds and when search ends."""
    printed, searched = time.monotonic(), progress.searched()
    while not over.wait(min(seconds, SECONDS_BETWEEN_LOOKS)):
        ends_now = not searched and progress.searched()
        if ends_now or time.monotonic() - printed >= seconds:
            print(progress.line(), file=console.file, flush=True)
            printed, searched = time.monotonic(), searched or ends_now


@dataclass(kw_only=True)
class Tally:
    """What is known of one arm in one phase."""

    planned: int
    running: set[int] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)
    epochs_of_ended: int = 0

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return self.planned - self.ended.total()

    def epochs_left(self, most: int) -> float:
        """Estimate the epochs to come: what ended trials took on average, at first the most."""
        ended = self.ended.total()
        return self.left * (self.epochs_of_ended / ended if ended else most)


class Best:
    """Sees how trials end, and says the best score as tables do: at the epoch kept, of trials that may be chosen."""

    def __init__(self, sweep: Sweep) -> None:
        self._metric = METRICS[sweep.search.metric]
        self._may = sweep.pruner.finishes
        self._kept: dict[TrialKey, float | None] = {}  # of trials that run
        self._scores: dict[tuple[str, str], float] = {}

    def watch(self, key: TrialKey, event: str, row: Json) -> None:
        """Take one event."""
        if event == "epoch" and row["epoch"]["kept"] == row["epoch"]["number"]:
            self._kept[key] = row["epoch"].get(self._metric.val)
        if event != "ended":
            return
        value = row["outcome"].get("metrics", {}).get(self._metric.val, self._kept.pop(key, None))
        if row["outcome"]["status"] in self._may and value is not None:
            score, of = self._metric.score(value), (key.phase, key.arm)
            self._scores[of] = max(score, self._scores.get(of, score))

    def replayed(self, bundle: Bundle) -> None:
        """Take many replayed epochs at once."""
        self._kept.update(newest_kept(bundle, bundle.column(self._metric.val)))

    def score(self, phase: str, arm: str) -> float | None:
        """Return the best score of an arm in a phase, None before there is one."""
        return self._scores.get((phase, arm))

    def words(self, phase: str, arm: str) -> str:
        """Return the best value of an arm in a phase as a reader wants it; empty before there is one."""
        score = self.score(phase, arm)
        return "" if score is None else self._metric.rough(self._metric.to_maximize(score))


def newest_kept(bundle: Bundle, values: Sequence[T]) -> Iterator[tuple[TrialKey, T]]:
    """Yield of these values of epochs, with its trial, each that is now the one kept: that of a newest epoch."""
    numbers, kept = bundle.column("number"), bundle.column("kept")
    if numbers == kept:  # nearly always
        return zip(bundle.cells, values, strict=True)
    both = zip(bundle.cells, numbers, kept, values, strict=True)
    return ((cell, value) for cell, number, newest, value in both if newest == number)


class Standing:
    """Sees what the pruner of each arm is told, and says what it makes of it. Another pruner has nothing to say."""

    def __init__(self, sweep: Sweep) -> None:
        self._metric = METRICS[sweep.search.metric]
        ladders = {arm.name: sweep.pruner.ladder(sweep.training.epochs) for _, arm in sweep.with_copy}
        self._ladders: dict[str, Ladder] = {arm: ladder for arm, ladder in ladders.items() if ladder is not None}
        self._scores: dict[TrialKey, float] = {}  # of trials that run, at the epoch kept
        self._found: dict[str, dict[tuple[str, int], Rung]] = {}  # by arm, until a trial of it ends

    def watch(self, key: TrialKey, event: str, row: Json) -> None:
        """Take one event, replayed or new."""
        if key.phase != "search" or not self._ladders:
            return
        if event == "epoch":
            epoch = row["epoch"]
            if epoch["kept"] == epoch["number"]:
                self._scores[key] = self._metric.score(epoch.get(self._metric.val))
            if self._ladders[key.arm].counts(epoch["number"], ended=epoch["outcome"] is not None):
                self._ladders[key.arm].take(key.number, Epoch.from_plain(epoch), self._scores[key])
        elif event == "ended":
            self._scores.pop(key, None)
            self._found.pop(key.arm, None)
            if "spared" in row:  # the pruner would have ended it, and heard no more of it
                self._ladders[key.arm].forget(key.number)

    def replayed(self, bundle: Bundle) -> None:
        """Take many replayed epochs at once."""
        if not self._ladders:
            return
        if len(set(bundle.cells)) < len(bundle.cells):  # several of a trial, which count one after the other
            for cell, row in zip(bundle.cells, bundle.rows(), strict=True):
                self.watch(TrialKey(*cell), EPOCH, row)
            return
        self._scores.update(newest_kept(bundle, self._metric.scores(bundle.column(self._metric.val))))
        numbers, outcomes = bundle.column("number"), bundle.column("outcome")
        rungs = {rung for ladder in self._ladders.values() for rung in ladder.rungs}
        if rungs.isdisjoint(numbers) and not any(outcomes):
            return
        for place, cell in enumerate(bundle.cells):
            arm, phase, number = cell
            if phase == "search" and self._ladders[arm].counts(numbers[place], ended=outcomes[place] is not None):
                self._ladders[arm].take(number, Epoch.from_plain(bundle.epoch(place)), self._scores[cell])

    def words(self) -> str:
        """Say which rungs are not used although enough trials have ended; empty where there are none."""
        for arm, ladder in self._ladders.items():
            if arm not in self._found:
                self._found[arm] = {(arm, rung): ladder.rung(rung) for rung in ladder.rungs}
        return unused({place: self._found[arm][place] for arm in self._ladders for place in self._found[arm]})
