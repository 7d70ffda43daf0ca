"""A phase in this process, one trial after the other: for small sweeps, tests and debugging."""

from __future__ import annotations

import dataclasses

from regtune.attempt import Pace, attempt, in_words, is_fault
from regtune.data import Pool, Splits
from regtune.machine import where
from regtune.phase import Phase
from regtune.termination import sigint_marked


def run_here(phase: Phase, data: Splits | Pool, pace: Pace) -> None:
    """Run what is left of a phase on these splits, or on splits of this pool that each trial has for itself."""
    with sigint_marked():
        _run(phase, data, pace)


def _run(phase: Phase, data: Splits | Pool, pace: Pace) -> None:
    here, pace = where(), dataclasses.replace(pace, report_seconds=0.0)
    while (task := phase.ask()) is not None:
        reports = attempt(task.trial, data, pace, task.resume.content if task.resume else None)
        while True:
            try:
                report = next(reports, None)
            except Exception as error:
                if not is_fault(error):
                    raise
                phase.fault(task.cell, in_words(error))
                break
            if report is None or phase.take(task.cell, report, here) == "stop":
                phase.back(task.cell)
                break
