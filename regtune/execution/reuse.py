"""Trials of other logs that are reused instead of trained: the same trial, data, code and class of machine.

A trial has the same content where its id is the same. What no id says is compared here: the hash of regtune's own
sources and of the plugins that it names, the fingerprint of the data, torch and the machine. A trial that a pruner
ended is of use only where the rule is the same, and then only if this search ends it there too, see `PhaseController`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import SAME, Json
from regtune.core.reused import REUSED, origin
from regtune.core.sources import same_sources
from regtune.execution.trained import RecordedTrial, RecordedTrials, TrainedRun
from regtune.execution.trial_environment import data_changes, environment_for
from regtune.execution.watch import Watch, Watching, many_of
from regtune.pruners import RECORDED
from regtune.storage.environment import machine_of, same_class, stood
from regtune.storage.layout import LOG, log_in, repeats_of
from regtune.storage.log import LogFile, check_not_compressed
from regtune.sweep.sweep import Sweep

PRUNING = ("pruner", "stop_after", "grace", "factor", "population", "control", "metric", RECORDED)  # of [search]
TWIN = "twin"  # of a trial: another key of this log held it too


@dataclass(frozen=True, kw_only=True)
class Reusable:
    """What other logs hold for a sweep: `runs` by the id of their trial, and `words`, a line for each folder."""

    runs: dict[str, TrainedRun]
    words: list[str]


def reusing(sweep: Sweep, folders: Sequence[str]) -> Sweep:
    """Return a sweep that takes trials from these folders too, behind those that its file names."""
    return sweep.model_copy(update={"reuse": tuple(dict.fromkeys((*sweep.reuse, *map(str, map(Path, folders)))))})


def check_reuse(sweep: Sweep, results: Path) -> None:
    """Raise Refused for a folder to reuse that has no log with trials, or that is the sweep's own."""
    own = sweep.nth(1).folder(results).resolve()
    for given in map(Path, sweep.reuse):
        if own in (given.resolve(), *given.resolve().parents):
            raise Refused(
                f"reuse: expected the results folder of another sweep, given {given}, this sweep's own, whose trials "
                f"are kept anyway; drop it"
            )
        if not any(log_in(folder).is_file() for folder in repeats_of(given)):
            given_as = "a folder without one" if given.is_dir() else "which is not a folder"
            raise Refused(
                f"reuse: expected a results folder with a log.jsonl, given {given}, {given_as}; correct its path"
            )
        for folder in repeats_of(given):
            check_not_compressed(folder / LOG)


def reusable(sweep: Sweep, data: Json) -> Reusable:
    """Return what the folders that a sweep names have for it; `data` is what `data_identity` says of its data.

    The first folder that has a trial gives it; repeats below a folder count. Raises Refused for a damaged log.
    """
    if not sweep.reuse:
        return Reusable(runs={}, words=[])
    device = sweep.arms[0].template.device
    now = {**environment_for(device), "sweep": sweep.plain(), **data}
    runs, lines = dict[str, TrainedRun](), list[str]()
    for given in sweep.reuse:
        why = Counter[str]()
        for folder in repeats_of(Path(given)):
            log = LogFile(folder / LOG)
            known = _known(log)
            for trial, each in known.items():
                unfit = _unfit(each, now, device)
                why[unfit] += 1
                if not unfit:
                    run = each.run(log.read)
                    mine = run._replace(folder=str(folder), origin=origin(str(folder), run.key))
                    runs.setdefault(trial, mine)
            lines += _hints(sweep, given, known)
        usable = why.pop("", 0)
        not_these = f"; not: {', '.join(f'{count} {text}' for text, count in why.items())}" if why else ""
        lines.append(f"reuse {given}: {usable} of {usable + why.total()} trials there can be reused{not_these}")
    return Reusable(runs=runs, words=list(dict.fromkeys(lines)))


class Reused:
    """Counts which trials of a sweep were reused, from what a watch is told."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, ...], str] = {}
        self._ended: dict[tuple[str, ...], str] = {}

    def beside(self, watch: Watch) -> Watch:
        """Return a watch that counts, and passes on what it is told."""

        def watched(event: str, row: Json) -> None:
            if event == "started":
                lent = TWIN if SAME in row else ""
                self._taken[tuple(row["cell"])] = row[REUSED]["folder"] if REUSED in row else lent
            elif event == "ended":
                self._ended[tuple(row["cell"])] = self._taken.get(tuple(row["cell"]), "")
            watch(event, row)

        return Watching(one=watched, many=many_of(watch))

    def words(self) -> str:
        """Say how many of the trials that have ended were reused."""
        counts = Counter(self._ended.values())
        trained, twins = counts.pop("", 0), counts.pop(TWIN, 0)
        lent = f", {twins} copied from an identical trial of this sweep" if twins else ""
        parts = ", ".join(f"{count} from {folder}" for folder, count in counts.items()) or "none was there"
        return (
            f"reuse: {counts.total()} of {trained + twins + counts.total()} trials were reused ({parts}), "
            f"{trained} trained{lent}"
        )


def _known(log: LogFile) -> dict[str, RecordedTrial]:
    """Return what a log has of each trial; a torn last line, as of a sweep that is running, is left out."""
    trials = RecordedTrials()
    if log.path.is_file():
        for place, row in log.reading().as_written():
            trials.take(place, row)
    return trials.found


def _unfit(each: RecordedTrial, now: Json, device: str) -> str:
    """Return why a trial cannot be reused, in words behind their number; empty where it can be."""
    if not each.headers or not each.status:
        return "only partly trained"
    if each.status not in ("ok", "pruned"):
        return each.status
    trial = each.rows[0]["trial"]
    if trial["device"] != device:
        return "for another device"
    places = [row["where"] for row in each.rows if row["event"] == "started"]
    grounds = (stood(header, place, device) for header in each.headers for place in places)
    if not all(same_class(machine_of(ground), machine_of(now)) for ground in grounds):
        return "trained on another class of machine, or by another torch"
    names: Sequence[str] = trial["plugins"]
    found = (_unlike(then, now, names, pruned=each.status == "pruned") for then in each.headers)
    return next(filter(None, found), "")


def _unlike(then: Json, now: Json, plugins: Sequence[str], *, pruned: bool) -> str:
    """Return in which regard a trial under a header is none that would be trained now."""
    before, after = then["sweep"].get("plugins", {}), now["sweep"]["plugins"]
    differs = {
        "trained by another version of the code": then.get("code") != now["code"],
        "trained by another version of a plugin": any(
            not same_sources(before.get(name, ""), after.get(name, "")) for name in plugins
        ),
        "trained on other data": then.get("data") != now["data"] or bool(data_changes(then, now)),
        "pruned by another rule": pruned and _rule(then["sweep"]["search"]) != _rule(now["sweep"]["search"]),
    }
    return next((words for words, is_so in differs.items() if is_so), "")


def _rule(search: Json) -> list[object]:
    return [search.get(name) for name in PRUNING]


def _hints(sweep: Sweep, given: str, known: dict[str, RecordedTrial]) -> list[str]:
    """Say how to have the same search trials drawn where another name or seed of the sweep draws others."""
    headers = [each.headers[-1]["sweep"] for each in known.values() if each.headers]
    mine = sweep.search.stream or sweep.name, sweep.seed
    theirs = {(str(one["search"].get("stream") or one["name"]), int(one["seed"])) for one in headers}
    if not theirs or mine in theirs:
        return []
    name, seed = min(theirs, key=lambda each: (each[1] != mine[1], each))
    needed = [f'search.stream = "{name}"'] * (name != mine[0]) + [f"seed = {seed}"] * (seed != mine[1])
    return [
        f'reuse {given}: its search trials were drawn by the name "{name}" and seed {seed}, those of this sweep are by '
        f'"{mine[0]}" and {mine[1]} and are others; {" and ".join(needed)} draws the same ones'
    ]
