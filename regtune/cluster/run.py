"""Run a sweep from wherever its log says it is: search, then confirm, then nothing."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path

from regtune.board import SearchBoard
from regtune.confirm import ConfirmBoard
from regtune.data import Place, Pool, Splits
from regtune.errors import Refused, shown
from regtune.examine import examine
from regtune.in_process import run_here
from regtune.log import Log
from regtune.machine import describe, differences
from regtune.phase import Phase
from regtune.records import Plain
from regtune.sweep import Sweep

Watch = Callable[[str, Plain], None]


def run(
    sweep: Sweep,
    results: Path,
    *,
    watch: Watch = lambda event, row: None,
    in_process: bool = False,
    place: Place | None = None,
    address: str | None = None,
) -> Path:
    """Run what is left of a sweep and return the path of its log.

    `results` is the folder under which the sweep has its own, named after it. `watch` is called with
    every event. With `in_process` trials run here one after the other, without Ray. `place` is where the
    data lie, what the environment says if not given. Raises Refused if the folder holds another sweep.
    """
    path = results / sweep.name / "log.jsonl"
    with Log(path) as log:
        _check_same(log, sweep)
        board = SearchBoard(sweep)
        search = Phase(board=board, log=log, watch=watch)
        # A phase replays its rows when it is made, so each is made once; confirm's choice needs all of search.
        confirm = Phase(board=ConfirmBoard(sweep, board), log=log, watch=watch) if search.done else None
        if confirm is not None and confirm.done:
            return path
        pool, splits = examine(sweep, place)
        log.append("header", {**describe(), "sweep": sweep.plain()})
        with contextlib.ExitStack() as stack:
            if not in_process:
                from regtune.cluster.local import local_ray, ray_at

                stack.enter_context(ray_at(address, sweep) if address else local_ray(sweep))
            _run(search, sweep, splits.without_test(), in_process=in_process)
            if confirm is None:
                confirm = Phase(board=ConfirmBoard(sweep, board), log=log, watch=watch)
            _run(confirm, sweep, pool if sweep.confirm.splits == "fresh" else splits, in_process=in_process)
    return path


def _run(phase: Phase, sweep: Sweep, data: Splits | Pool, *, in_process: bool) -> None:
    if phase.done:
        return
    if in_process:
        run_here(phase, data)
    else:
        from regtune.cluster.local import run_on_ray

        run_on_ray(phase, sweep, data)
    if not phase.done:
        raise RuntimeError("the phase ended before its trials had; run the same command again to go on")


def _check_same(log: Log, sweep: Sweep) -> None:
    """Raise Refused if the log is of a sweep that differs from this one."""
    headers = [row for row in log.rows if row["event"] == "header"]
    if not headers:
        return
    header = headers[-1]
    changed = sorted(_flat(header["sweep"]).items() ^ _flat(sweep.plain()).items())
    if changed:
        paths = sorted({path for path, _ in changed})
        raise Refused(
            f"{log.path}: holds a sweep that differs in {shown(', '.join(paths), 300)}; "
            f"give the changed sweep another name or move the folder away"
        )
    if unlike := differences(header, describe()):
        warnings.warn(f"{log.path}: goes on where other software or hardware began: {'; '.join(unlike)}", stacklevel=3)


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
