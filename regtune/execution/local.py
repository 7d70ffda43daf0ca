"""A phase in this process, one trial after the other: for small sweeps, tests and debugging."""

from __future__ import annotations

import dataclasses

import torch

from regtune.core.errors import Refused
from regtune.core.signals import sigint_marked
from regtune.data import Pool, Splits
from regtune.execution.attempt import ReportPlan, attempt, in_words, is_fault
from regtune.execution.controller import PhaseController
from regtune.execution.trial_environment import place_for
from regtune.sweep.sweep import Sweep
from regtune.training.process import prepare_process


def check_device(sweep: Sweep, *, here: bool) -> None:
    """Raise Refused where trials run `here`, are for a GPU, and this process has none: each of them would fail."""
    if here and sweep.cluster.gpus_per_trial and not torch.cuda.is_available():
        raise Refused(
            f"cluster.gpus_per_trial: expected 0 for trials in this process, torch sees no GPU here, given "
            f"{sweep.cluster.gpus_per_trial:g}; set it to 0, or give --address of a cluster with GPUs"
        )


def run_here(phase: PhaseController, data: Splits | Pool, pace: ReportPlan) -> None:
    """Run what is left of a phase on these splits, or on splits of this pool that each trial has for itself."""
    with sigint_marked():
        _run(phase, data, pace)


def _run(phase: PhaseController, data: Splits | Pool, pace: ReportPlan) -> None:
    pace = dataclasses.replace(pace, report_seconds=0.0)
    while (task := phase.ask()) is not None:
        prepare_process(task.trial.threads)
        here = place_for(task.trial.device)
        reports = attempt(task.trial, data, pace, task.resume.content if task.resume else None)
        while True:
            try:
                report = next(reports, None)
            except Exception as error:
                if not is_fault(error):
                    raise
                phase.fault(task.key, in_words(error))
                break
            if report is None or phase.take(task.key, report, here) == "stop":
                phase.back(task.key)
                break
