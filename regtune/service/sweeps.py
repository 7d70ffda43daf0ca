"""The sweeps of a results folder as their logs tell them. What is kept here are copies, made again from the logs."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import vl_convert
from pydantic import BaseModel, Field

from regtune.analysis.left import trials_left
from regtune.core.errors import Refused, nearest, shown
from regtune.core.file_names import as_text
from regtune.core.records import OPEN
from regtune.reports.figures import _drawing
from regtune.reports.figures.catalog import Figure, drawn
from regtune.reports.output import tables_as_text
from regtune.reports.page.report import VEGA_LITE
from regtune.reports.tables.catalog import Tables
from regtune.reports.tables.folder import FolderTables, read_folder
from regtune.results.loader import Results
from regtune.results.standing import INTERRUPTED, Follower, NotBegun, Standing, file_state
from regtune.service.folders import Linked, check_size, folder_of, log_bytes, log_bytes_of_repeats
from regtune.service.newest import Newest
from regtune.service.problems import Denied, Error, problem
from regtune.service.runs import Runs, file_of
from regtune.service.settings import MIB, Settings
from regtune.storage.layout import log_in, repeats_of
from regtune.sweep.schema import NAME

T = TypeVar("T")
State = Literal["starting", "running", "stopped", "finished", "refused", "damaged"]
# Bytes of logs of which counts are kept, and frames and what is made from these, which are larger.
MOST_FOLLOWED, MOST_LOADED = 4096 * MIB, 512 * MIB
MOST_MARKS = 1024  # sweeps of which it is known that they are over
SECONDS_OLD = 0.25  # that the counts of a sweep that runs may be
SHARE = 150  # while a sweep runs a thing is made again after so many times the seconds that it took
FRAMES = ("frames",)
WORDS_OF_OUTPUT = 4096  # bytes


class Summary(BaseModel):
    """A sweep in the list."""

    name: str
    state: State = Field(
        description="starting: a run has begun and not written yet; stopped: trials are left and nobody runs them; "
        "refused: the run ended before it wrote anything; damaged: the log cannot be read"
    )
    error: Error | None = Field(default=None, description="why it is refused or damaged")
    arms: list[str] = Field(default=[], description="the arms; the first is what the others are compared with")
    trials: dict[str, int] = Field(default={}, description="how many trials have each status, over all arms and phases")
    epochs: int = Field(default=0, description="epochs trained")
    began: float | None = Field(default=None, description="time of the first row of the log, in Unix seconds")
    newest: float | None = Field(default=None, description="time of the last row of the log, in Unix seconds")
    seconds_left: float | None = Field(default=None, description="of the run under way, once its speed is known")


class Status(Summary):
    """How a sweep stands. The counts are of one repeat: that asked for, else the newest."""

    repeat: int = 1
    repeats: int = Field(default=1, description="repeats of the whole sweep that have a log")
    counts: dict[str, dict[str, dict[str, int]]] = Field(
        default={}, description="by arm and phase how many trials have each status"
    )
    at_most: bool = Field(default=False, description="whether seconds_left is a maximum, since confirm races")
    limit: str = Field(default="", description="which limit ended search")
    messages: dict[str, str] = Field(default={}, description="of the newest trials that ended badly, by trial")
    host: str | None = Field(default=None, description="the machine that runs it")
    file: bool = Field(default=False, description="whether its sweep file is known, so that it can be resumed here")
    event: str | None = Field(default=None, description="the id of the newest event, to follow the events behind it")


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A thing, and of what it was made, until when it is used while the sweep runs: a log that grows never rests."""

    thing: Any
    of: object
    until: float


@dataclass
class _Loaded:
    """The frames of a sweep, and what is made from them, each as seldom as it takes long.

    One at a time makes the `frames`, and one what is `beside` them, who may make frames too: how a sweep stands, which
    may take frames, does not wait for figures. All others do, or there would be frames of before, which figures are
    made of, and new ones at once.
    """

    frames: threading.Lock = field(default_factory=threading.Lock)
    beside: threading.Lock = field(default_factory=threading.Lock)
    running: bool = False
    made: dict[tuple[object, ...], _Made] = field(default_factory=dict)

    def fresh(self, key: tuple[object, ...], of: object, make: Callable[[], T]) -> T:
        """Return a thing that was made of this; made anew if it was made of something else, and it is time."""
        found = self.made.get(key)
        if found is None or (found.of != of and not (self.running and time.monotonic() < found.until)):
            begin = time.monotonic()
            thing = make()
            now = time.monotonic()
            found = self.made[key] = _Made(thing=thing, of=of, until=now + SHARE * (now - begin))
        kept: T = found.thing
        return kept

    def of(self, key: tuple[object, ...]) -> object:
        """Return what a thing was made of."""
        return self.made[key].of

    def seconds_to_next(self, *keys: tuple[object, ...]) -> int:
        """Return for how long none of these things is made again."""
        until = max(self.made[key].until for key in keys) if self.running else 0.0
        return max(0, math.ceil(until - time.monotonic()))


class Sweeps:
    """The sweeps of a folder, by name."""

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self._settings, self._runs = settings, runs
        self._followers = Newest(Follower, log_bytes, MOST_FOLLOWED)
        self._loaded = Newest(lambda folder: _Loaded(), log_bytes_of_repeats, MOST_LOADED)
        self._over = Newest[Path, dict[tuple[int, int], bool]](lambda folder: {}, lambda folder: 1, MOST_MARKS)

    def names(self) -> list[str]:
        """Return the names of all sweeps, those whose log or file changed last in front."""
        found = []
        for folder in self._settings.results.iterdir() if self._settings.results.is_dir() else ():
            if folder.is_symlink() or not re.fullmatch(NAME, as_text(folder.name)):
                continue
            if (changed := _changed(folder)) is not None:
                found.append((-changed, as_text(folder.name)))
        return [name for _, name in sorted(found)]

    def path(self, name: str) -> Path:
        """Return where a sweep of this name has its folder, or would, see `folder_of`."""
        return folder_of(self._settings.results, name)

    def folder(self, name: str) -> Path:
        """Return the folder of a sweep; raises Denied where there is none."""
        folder = self.path(name)
        if _changed(folder) is None:
            raise Denied(404, f"sweep: unknown sweep {shown(name)}{nearest(name, self.names())}")
        return folder

    def repeat(self, name: str, repeat: int) -> Path:
        """Return the folder of a repeat of a sweep; raises Denied where there is none."""
        folders = repeats_of(self.folder(name))
        if repeat > len(folders):
            raise Denied(404, f"repeat: expected at most {len(folders)}, which has begun last, given {repeat}")
        return folders[repeat - 1]

    def standing(self, folder: Path, seconds_old: float = 0.0) -> Standing:
        """Return how the log of a folder stands, see `Follower.standing`; raises Refused for one that is damaged."""
        self.check_size(folder)
        return self._followers.of(folder).standing(seconds_old)

    def summaries(self, names: Sequence[str]) -> list[Summary]:
        """Return how these sweeps stand, in short, without those that are gone meanwhile."""
        found = []
        for name in names:
            try:
                found.append(Summary(**self.status(name).model_dump(include=set(Summary.model_fields))))
            except Linked as error:
                found.append(Summary(name=name, state="damaged", error=problem(error).error))
            except Denied:  # it is gone, or a cluster does not say how it stands
                continue
        return found

    def status(self, name: str, repeat: int | None = None) -> Status:
        """Return how a sweep stands; what is wrong with its log is part of the answer."""
        folder = self.folder(name)
        every = repeats_of(folder)
        mine = self.repeat(name, repeat) if repeat is not None else every[-1]
        base = {"name": name, "repeats": len(every), "file": file_of(folder).is_file()}
        base["repeat"] = every.index(mine) + 1
        up = self._runs.is_up(folder)
        try:
            standing = self.standing(mine, SECONDS_OLD)
            running = standing if mine == every[-1] else self.standing(every[-1], SECONDS_OLD)
            state = self._state(folder, running, up)
        except Refused as error:
            return self._without(folder, mine, base, error, up)
        counts: dict[str, int] = {}
        for phases in standing.counts.values():
            for found in phases.values():
                for status, number in found.items():
                    counts[status] = counts.get(status, 0) + number
        return Status(
            **base,
            state=state,
            arms=list(standing.sweep.arms),
            trials=counts,
            epochs=standing.epochs,
            began=standing.began or None,  # old logs have no times
            newest=standing.newest or None,
            seconds_left=standing.seconds_left,
            counts=standing.counts,
            at_most=standing.sweep.confirm.racing,
            limit=standing.limit,
            messages=standing.messages,
            host=running.holder.host.split()[0] if running.holder else None,
            event=event_id(standing.place, standing.seal),
        )

    def tables(self, name: str) -> FolderTables:
        """Return the tables of a sweep."""
        folder = self.folder(name)
        return self._fresh(folder, self._loaded.of(folder))[0]

    def results(self, name: str, repeat: int) -> Results:
        """Return the frames of a repeat of a sweep; raises Denied where it has not begun."""
        self.repeat(name, repeat)
        folder = self.folder(name)
        loaded = self._loaded.of(folder)
        with loaded.beside:
            return _of_repeat(self._fresh(folder, loaded)[0], repeat).results

    def table(self, name: str, form: str) -> tuple[str, int]:
        """Return the tables of a sweep in a format of `formats.FORMATS`, and for how many seconds they stay as is."""
        folder = self.folder(name)
        loaded = self._loaded.of(folder)
        with loaded.beside:
            tables, of = self._fresh(folder, loaded)
            text = loaded.fresh(("table", form), of, lambda: tables_as_text([tables], form))
            return text, loaded.seconds_to_next(FRAMES, ("table", form))

    def figures(self, name: str, repeat: int) -> tuple[list[Figure], int]:
        """Return the figures of a repeat of a sweep, those of its report, and for how many seconds they stay as is."""
        self.repeat(name, repeat)
        folder = self.folder(name)
        loaded = self._loaded.of(folder)
        with loaded.beside:
            tables, of = self._fresh(folder, loaded)
            mine, key = _of_repeat(tables, repeat), ("figures", repeat)
            figures = loaded.fresh(key, of, lambda: drawn(mine))
            return figures, loaded.seconds_to_next(FRAMES, key)

    def drawing(self, name: str, repeat: int, figure: Figure, *, dark: bool) -> str:
        """Return a figure of `figures` as SVG."""
        config = _drawing.dark() if dark else _drawing.light()
        spec = figure.spec or {}

        def made() -> str:
            return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=config))

        return self._of_figure(name, ("dark" if dark else "light", repeat), figure, made)

    def spec(self, name: str, repeat: int, figure: Figure) -> bytes:
        """Return a figure of `figures` as Vega-Lite."""

        def made() -> bytes:
            return json.dumps(figure.spec, allow_nan=False).encode()

        return self._of_figure(name, ("spec", repeat), figure, made)

    def _of_figure(self, name: str, what: tuple[str, int], figure: Figure, make: Callable[[], T]) -> T:
        loaded = self._loaded.of(self.folder(name))
        with loaded.beside:
            return loaded.fresh((*what, figure.name), (figure,), make)  # a tuple: the same figure is seen at once

    def _fresh(self, folder: Path, loaded: _Loaded) -> tuple[FolderTables, object]:
        """Return the tables of a folder from its logs, and of what; of a sweep that runs they may be a moment old."""
        repeats = repeats_of(folder)
        for each in repeats:
            self.check_size(each)
        with loaded.frames:
            loaded.running = bool(_readable(self._followers.of(repeats[-1]).standing).holder)
            seen = (loaded.running, *(file_state(log_in(each)) for each in repeats))
            tables = loaded.fresh(FRAMES, seen, lambda: _readable(lambda: read_folder(folder)))
            return tables, loaded.of(FRAMES)

    def check_size(self, folder: Path) -> None:
        """Raise Denied for a log that would fill the memory of the service."""
        check_size(folder, self._settings.most_log_bytes)

    def _state(self, folder: Path, standing: Standing, up: bool) -> State:
        if standing.holder is not None:
            return "running"
        if up:
            return "starting"
        statuses = {status for phases in standing.counts.values() for found in phases.values() for status in found}
        if INTERRUPTED in statuses:
            return "stopped"
        if statuses.isdisjoint(OPEN):
            return "finished"
        # Trials may be missing that are not needed, which takes the frames to see.
        mark, over = (standing.place, standing.seal), self._over.of(folder)
        if mark not in over:
            over.clear()
            over[mark] = not any(map(trials_left, self.tables(as_text(folder.name)).repeats))
        return "finished" if over[mark] else "stopped"

    def _without(self, folder: Path, log: Path, base: dict[str, object], error: Refused, up: bool) -> Status:
        """Return how a sweep stands of which the log tells nothing."""
        path = log_in(log)
        no_header = isinstance(error, NotBegun)
        if up and (no_header or not _has_row(path)):
            return Status.model_validate({**base, "state": "starting"})
        if not no_header and path.exists() and path.stat().st_size:
            return Status.model_validate({**base, "state": "damaged", "error": problem(error).error})
        lines = self._runs.output(folder, WORDS_OF_OUTPUT).strip().splitlines()
        words = Refused(lines[-1].removeprefix("regtune: ") if lines else "it was never run")
        return Status.model_validate({**base, "state": "refused", "error": problem(words).error})


def _of_repeat(tables: FolderTables, repeat: int) -> Tables:
    """Return the tables of a repeat; raises Denied where it was not in the log yet when these were made."""
    found = next((each for each in tables.logs if each.results.repeat == repeat), None)
    if found is None:
        raise Denied(404, f"repeat: expected one with trials, given {repeat}; it has just begun, ask again")
    return found


def _has_row(path: Path) -> bool:
    """Return whether a log has a whole row: its header is long, and may be half written."""
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n")
    except FileNotFoundError:
        return False


def _readable(read: Callable[[], T]) -> T:
    """Return what is read of a log; raises Denied for one that is damaged: what was asked for is no mistake."""
    try:
        return read()
    except Denied:
        raise
    except Refused as error:
        raise Denied(409, str(error)) from error


def event_id(place: int, seal: int) -> str:
    """Return the id of the event whose row ends at a place of the log: who has it reads on, and sees damage."""
    return f"{place}-{seal:08x}"


def _changed(folder: Path) -> float | None:
    """Return when the log or else the file of a sweep was written; None for a folder of something else."""
    for path in (log_in(folder), file_of(folder)):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return None
