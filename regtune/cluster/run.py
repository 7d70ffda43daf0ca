"""Run a sweep from wherever its log says it is: search, then confirm, then nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from regtune.board import Board, SearchBoard
from regtune.confirm import ConfirmBoard
from regtune.data import Splits
from regtune.errors import Refused, shown
from regtune.examine import examine
from regtune.log import Log
from regtune.machine import describe
from regtune.phase import Phase, run_here
from regtune.records import Plain
from regtune.sweep import Sweep

Watch = Callable[[str, Plain], None]


def run(sweep: Sweep, results: Path, *, watch: Watch = lambda event, row: None, in_process: bool = False) -> Path:
    """Run what is left of a sweep and return the path of its log.

    `results` is the folder under which the sweep has its own, named after it. `watch` is called with
    every event. With `in_process` trials run here one after the other, without Ray. Raises Refused if
    the folder holds another sweep.
    """
    path = results / sweep.name / "log.jsonl"
    with Log(path) as log:
        _check_same(log, sweep)
        search_board = SearchBoard(sweep)
        search = Phase(board=search_board, log=log, watch=watch)
        if search.done and _confirm(sweep, search_board, log).done:
            return path
        data = examine(sweep)
        log.append("header", {**describe(), "sweep": sweep.plain()})
        with contextlib.ExitStack() as stack:
            if not in_process:
                from regtune.cluster.local import local_ray

                stack.enter_context(local_ray(sweep))
            _run(search, sweep, data.without_test(), in_process=in_process)
            confirm = _confirm(sweep, search_board, log, watch)
            _run(confirm, sweep, data, in_process=in_process)
    return path


def _confirm(sweep: Sweep, search: Board, log: Log, watch: Watch = lambda event, row: None) -> Phase:
    if not isinstance(search, SearchBoard):
        raise TypeError("confirm needs the board of the search")
    return Phase(board=ConfirmBoard(sweep, search), log=log, watch=watch)


def _run(phase: Phase, sweep: Sweep, data: Splits, *, in_process: bool) -> None:
    if phase.done:
        return
    if in_process:
        run_here(phase, data)
        return
    from regtune.cluster.local import run_on_ray

    run_on_ray(phase, sweep, data)
    if not phase.done:
        raise RuntimeError("Ray ended the phase before its trials had; run the same command again to go on")


def _check_same(log: Log, sweep: Sweep) -> None:
    """Raise Refused if the log is of a sweep that differs from this one."""
    header = next((row for row in log.rows if row["event"] == "header"), None)
    if header is None:
        return
    changed = sorted(_flat(header["sweep"]).items() ^ _flat(sweep.plain()).items())
    if changed:
        paths = sorted({path for path, _ in changed})
        raise Refused(
            f"{log.path}: holds a sweep that differs in {shown(', '.join(paths), 300)}; "
            f"give the changed sweep another name or move the folder away"
        )


def _flat(value: object, path: str = "") -> dict[str, str]:
    """Return the leaves of nested tables and lists as text by path."""
    if isinstance(value, dict):
        items = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(place), part) for place, part in enumerate(value)]
    else:
        return {path: repr(value)}
    leaves: dict[str, str] = {}
    for key, part in items:
        leaves |= _flat(part, f"{path}.{key}" if path else key)
    return leaves
