"""The live display counts what the log says, replayed rows included."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from regtune.cli.progress import Progress, live
from regtune.core.errors import Refused
from regtune.core.reused import REUSED
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneTerms, PhaseJob
from regtune.execution.local import run_here
from regtune.execution.run import report_plan_of
from regtune.search.search import SearchScheduler
from regtune.storage.environment import location
from regtune.storage.log import Log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.trainer import train
from tests.test_scheduler import epoch


def drawn(progress: Progress) -> str:
    """Return what stands there when a run is interrupted."""
    console = Console(file=io.StringIO(), width=80)
    with contextlib.suppress(InterruptedError), live(progress, console):
        raise InterruptedError
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return str(text)


def test_the_display_shows_a_search_under_way_and_again_after_a_restart(sweep_file: Path, tmp_path: Path) -> None:
    sweep, path = Sweep.read(sweep_file), tmp_path / "log.jsonl"
    data = load_data(sweep.arms[0].template).without_test()
    progress = Progress(sweep)
    assert "time left …" in drawn(progress)
    with Log(path) as log:
        phase = PhaseController(scheduler=SearchScheduler(sweep), log=log, watch=progress.watch, retries=0)
        asked = phase.ask()
        assert asked is not None
        phase.take(asked.key, Report(epochs=(next(train(asked.trial, data=data)),)), location())
        assert progress.tallies["search", "baseline"].running == {0}
        assert progress.seconds_left() is None
        run_here([PhaseJob(controller=phase, data=data, plan=report_plan_of(sweep), terms=LaneTerms(width=1))])
    seconds = progress.seconds_left()
    assert seconds is not None
    assert seconds > 0
    # One baseline trial was begun above and not ended; the other eleven have ended.
    text = drawn(progress)
    assert "3/4" in text
    assert text.count("4/4") == 2
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("search 11/12, confirm 0/9, failed 0, time left ")
    again = Progress(sweep)
    with Log(path) as log:
        PhaseController(scheduler=SearchScheduler(sweep), log=log, watch=again.watch, retries=0)
    assert again.tallies == progress.tallies
    assert again.seconds_left() is None, "the pace is that of this run"


def test_without_a_terminal_there_is_a_line_now_and_then_and_when_a_phase_ends(sweep_file: Path) -> None:
    output = io.StringIO()
    progress, console, written = Progress(Sweep.read(sweep_file)), Console(file=output, width=80), output.getvalue

    def end(phase: str, number: int) -> None:
        for arm in ("baseline", "dropout", "mixup"):
            progress.watch("ended", {"cell": [arm, phase, number], "outcome": {"status": "ok"}})

    with live(progress, console, seconds=1.0):
        for number in range(4):
            end("search", number)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and written().count("\n") < 2:
            time.sleep(0.05)
        end("confirm", 0)
    lines, _, table = written().partition("regtune · small")
    first, second, *_, last = lines.splitlines()
    assert first == "search 12/12, confirm 0/9, failed 0, time left …", "search has ended"
    assert second == first, "a second later"
    assert last == "search 12/12, confirm 3/9, failed 0, time left 0:00", "it is over, whatever was planned"
    assert "4/4" in table


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_left_of_a_run_that_is_refused_before_it_begins(terminal: bool, sweep_file: Path) -> None:
    def left(*events: str) -> str:
        output, progress = io.StringIO(), Progress(Sweep.read(sweep_file))
        console = Console(file=output, width=80, force_terminal=terminal)
        with pytest.raises(Refused), live(progress, console):
            for event in events:
                progress.watch(event, {"cell": ["baseline", "search", 0], "outcome": {"status": "ok"}})
            raise Refused("changed")
        return output.getvalue().rpartition("\x1b[?25h")[2] if terminal else output.getvalue()

    erased = left()
    assert not erased.replace("\r", "").replace("\x1b[1A", "").replace("\x1b[2K", "")
    assert not terminal or erased.count("\x1b[2K") > 5, "the lines that were drawn are taken back"
    assert "time left" in left("ended") if not terminal else "\x1b[2K" not in left("ended")


def test_epochs_that_are_taken_over_say_nothing_of_the_pace(sweep_file: Path) -> None:
    progress, cell = Progress(Sweep.read(sweep_file)), ["baseline", "search", 0]

    def watch(more: dict[str, object]) -> None:
        progress.watch("started", {"cell": cell, "where": {}, **more})
        for number in range(1, 31):
            progress.watch("epoch", {"cell": cell, "epoch": {**epoch(1, 0.5).plain(), "number": number}})

    watch({REUSED: {"folder": "there", "cell": cell}})
    assert progress.seconds_left() is None
    watch({})
    assert progress.seconds_left() is not None
