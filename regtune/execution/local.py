"""The phases of a sweep in this process, by one lane after the other: for small sweeps, tests and debugging."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import torch

from regtune.core.errors import Refused
from regtune.core.signals import sigint_marked
from regtune.execution.attempt import in_words, is_fault
from regtune.execution.lane_queue import LaneAnswer, LaneQueue, LaneReport, OpenLane, PhaseJob
from regtune.execution.lane_work import work
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


def run_here(jobs: Iterable[PhaseJob]) -> None:
    """Run what is left of phases, one after the other."""
    for job in jobs:
        with sigint_marked():
            _run(job)


class _PhaseError(Exception):
    """Wraps what the phase raises when it is told something (a full disk, a lost lease): that is no lane's fault."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _run(job: PhaseJob) -> None:
    queue, plan = LaneQueue(job), dataclasses.replace(job.plan, report_seconds=0.0)
    while (given := queue.begin()) is not None:
        trial = given.tasks[0].trial
        prepare_process(trial.threads)
        lane, here = OpenLane(queue, given), place_for(trial.device)
        try:
            work(given, job.data, plan, functools.partial(_exchange, lane, here))
        except _PhaseError as error:
            raise error.error from error
        except Exception as error:
            if not is_fault(error):
                raise
            lane.fault(in_words(error))
        lane.end()
    queue.close()


def _exchange(lane: OpenLane, here: Mapping[str, str], told: LaneReport) -> LaneAnswer:
    try:
        return lane.exchange(told, here)
    except Exception as error:
        raise _PhaseError(error) from error
