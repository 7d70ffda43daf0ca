"""What a run would do with the results that are there: `regtune run --dry-run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table

from regtune.arms import Arm
from regtune.begun import as_begun
from regtune.changes import check_same
from regtune.folders import repeats_of
from regtune.log import read_log
from regtune.phases import Step, phases
from regtune.records import Phase as Name
from regtune.records import Plain
from regtune.retry import RETRY, retry_of
from regtune.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A log that is only read; a phase writes when it is asked for trials, and this one never is."""

    path: Path
    rows: list[Plain]

    def append(self, event: str, fields: Plain) -> None:
        """Raise: nothing is written in a dry run."""
        raise RuntimeError(f"a dry run wrote {event}")


def forecast_all(sweep: Sweep, results: Path, *, retry_failed: bool = False) -> Group:
    """Return what is done and left of every repeat of a sweep, ready to print; raises Refused as a run would."""
    every = sweep.every_repeat()
    lines = [f"{len(every)} repeats of the sweep, seed = {sweep.seed} to {every[-1].seed}"] if len(every) > 1 else []
    return Group(*lines, *beyond(sweep, results), *(forecast(one, results, retry_failed=retry_failed) for one in every))


def beyond(sweep: Sweep, results: Path) -> list[str]:
    """Return in words which repeats are there and no longer asked for."""
    asked = {one.folder(results) for one in sweep.every_repeat()}
    more = [path for path in repeats_of(sweep.folder(results)) if path not in asked and path != sweep.folder(results)]
    return [
        f"{path}: left as it is, search.repeats asks for {sweep.search.repeats}; the table has every repeat that is "
        f"there"
        for path in more
    ]


def forecast(sweep: Sweep, results: Path, *, retry_failed: bool = False) -> Group:
    """Return what is done and what is left of one repeat of a sweep, ready to print; raises Refused as a run would."""
    path = sweep.folder(results) / "log.jsonl"
    rows, torn = read_log(path) if path.exists() else ([], 0)
    again = retry_of(rows, sweep) if retry_failed else None
    sweep = as_begun(sweep.as_in(rows), rows)
    lines = check_same(path, rows, sweep.plain(), again.mended if again else ())
    lines += again.words() if again else []
    log = _Read(path=path, rows=[*rows, {"event": RETRY, **again.row()}] if again else rows)
    lines += ["the last line of the log was torn off by a crash and is left out"] if torn else []
    # Before a phase is over, what the next is to do may still change.
    made: dict[str, Step] = {}
    for step in phases(sweep, log):
        made[step.name] = step
        if not step.phase.done:
            break
    table = Table(title=f"{path}: nothing was started", title_justify="left")
    table.add_column("arm", no_wrap=True)
    for name in sweep.phases:
        for heading in (f"{name} done", "go on", "to train"):
            table.add_column(heading, justify="right")
    for one, arm in sweep.with_copy:
        counts = [count for name in sweep.phases for count in _counts(made.get(name), arm, one, name)]
        table.add_row(arm.name, *map(str, counts))
    interrupted = [pair for step in made.values() for pair in step.phase.open().items()]
    lines += [f"{cell} goes on; the log has {epochs} of its epochs" for cell, epochs in interrupted]
    if sweep.select.seeds and "confirm" not in made:
        lines.append("select: up to as many trials as the table says; a round asks for what the one before has left")
    if sweep.scope == "searches" and "rivals" not in made:
        lines.append("rivals: up to as many trials as the table says; whom search and select nearly chose")
    if sweep.confirm.racing:
        lines.append(f"confirm races: up to {sweep.confirm.seeds} seeds an arm, more than planned only where needed")
    return Group(*lines, table)


def _counts(step: Step | None, arm: Arm, sweep: Sweep, name: Name) -> tuple[int, int, int]:
    """Return how many trials of an arm have ended, go on, and are still to be begun."""
    if step is None:
        return 0, 0, sweep.most_trials(name, arm)
    planned = sum(cell.arm == arm.name for cell in step.board.planned)
    ended = sum(cell.arm == arm.name for cell in step.phase.ended)
    begun = sum(cell.arm == arm.name for cell in step.phase.open())
    return ended, begun, planned - ended - begun
