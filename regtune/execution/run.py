"""Run a sweep from wherever its log says it is: search, select, confirm, rivals, then nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import Json, PhaseName, TrialKey
from regtune.data import DataLocation, Pool, Splits
from regtune.execution.attempt import ReportPlan
from regtune.execution.idle_gpus import gpus_here, idle_gpus
from regtune.execution.lane_queue import LaneTerms, PhaseJob
from regtune.execution.limits import Limit, Spent
from regtune.execution.local import check_device, run_here
from regtune.execution.past import Past
from regtune.execution.phases import SweepPhase, phases
from regtune.execution.preflight import flaws, preflight
from regtune.execution.recovery import key_of
from regtune.execution.retry import ask_again, failed_keys, retry_of
from regtune.execution.reuse import Reused, check_reuse, reusable
from regtune.execution.trained import Trained
from regtune.execution.trial_environment import data_changes, data_identity
from regtune.execution.watch import Watch, Watching, many_of
from regtune.storage import lease
from regtune.storage.compatibility import check_same, reworded
from regtune.storage.environment import describe
from regtune.storage.layout import LOG
from regtune.storage.log import Log
from regtune.sweep.resumed import as_resumed
from regtune.sweep.sweep import Sweep
from regtune.training.build import build_dataset

Launch = Callable[[Iterable[PhaseJob]], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a sweep is run, whatever is in it.

    With `in_process` lanes run in this process one after the other, without Ray. Otherwise they run on the Ray cluster
    at `address` ("auto", or host:port), or on a new Ray on this machine. `place` says where the data are; by default
    the environment does. At a `limit` search stops, and confirm takes what it has found. With `retry_failed` trials
    that an exception ended are retried, and arms whose plugin has changed are retrained.
    """

    in_process: bool = False
    address: str | None = None
    place: DataLocation | None = None
    limit: Limit = dataclasses.field(default_factory=Limit)
    retry_failed: bool = False


def run(
    sweep: Sweep,
    results: Path,
    *,
    watch: Watch = lambda event, row: None,
    say: Callable[[str], None] = lambda text: None,
    in_process: bool = False,
    address: str | None = None,
    place: DataLocation | None = None,
    limit: Limit | None = None,
    launch: Launch | None = None,
    retry_failed: bool = False,
) -> Path:
    """Run or resume a sweep and return the path of its log; see `RunOptions`, and `run_with`."""
    options = RunOptions(
        in_process=in_process, address=address, place=place, limit=limit or Limit(), retry_failed=retry_failed
    )
    return run_with(sweep, results, options, watch=watch, say=say, launch=launch)


def run_with(
    sweep: Sweep,
    results: Path,
    options: RunOptions,
    *,
    watch: Watch = lambda event, row: None,
    say: Callable[[str], None] = lambda text: None,
    launch: Launch | None = None,
) -> Path:
    """Run or resume a sweep and return the path of its log.

    The sweep has a folder of its own, named after it, in the folder `results`; a repeat has one below that. This runs
    one repeat, `repeats.run_all` runs all of them. `watch` is called with every event, `say` with messages for a user.
    `launch` runs the phases instead of Ray or this process. Trials found in the folders of `sweep.reuse` are reused.
    Raises Refused if the folder holds another sweep, if one of the folders to reuse holds none, or if trials need a
    GPU that is not there; NoRoom where a disk is full.
    """
    if options.limit.gpu_hours is not None and not sweep.cluster.gpus_per_trial:
        raise Refused("--max-gpu-hours: expected a sweep with cluster.gpus_per_trial above 0; --max-hours counts here")
    path = sweep.folder(results) / LOG
    past = Past()
    with Log(path, past) as log:
        if log.torn:
            say(f"{path}: the last line was cut off by a crash and is ignored")
        again = retry_of(log.rows, sweep) if options.retry_failed else None
        sweep = as_resumed(sweep, log.rows)
        for text in check_same(path, log.rows, sweep.plain(), again.mended if again else ()):
            say(f"{path}: {text}")
        here = options.in_process and launch is None
        if again is not None and again.keys:
            check_device(sweep, here=here)
            ask_again(log, again, say)
        for text in again.words() if again is not None else _left(failed_keys(log.rows, sweep)):
            say(text)
        spent = Spent(options.limit, past.work, sweep.cluster.gpus_per_trial)
        trained, reused = Trained(past.trials, log.read), Reused()
        in_order = phases(sweep, log, watch=reused.beside(_telling(watch, say)), spent=spent, trained=trained)
        made = [*_over(in_order)]
        if made[-1].name == sweep.order[-1] and made[-1].controller.done:
            # A driver may have been killed inside the last row that there was to write, or before it.
            new_header = reworded(log.rows, sweep.plain())
            writes = bool(log.torn) or new_header is not None or not all(phase.controller.settled for phase in made)
            with lease.held(log, waiting=say) if writes else contextlib.nullcontext():
                for phase in made:
                    phase.controller.settle()
                if new_header is not None:
                    log.append("header", new_header)
            return path
        check_device(sweep, here=here)
        check_reuse(sweep, results)
        pool, splits = preflight(sweep, options.place, say)
        identity = data_identity(pool, [arm.template for arm in sweep.arms])
        before = next((row for row in reversed(log.rows) if row["event"] == "header"), {})
        others = reusable(sweep, identity)
        trained.lend(others.runs)
        for text in [*_other_data(path, before, identity), *flaws(sweep, pool), *others.words]:
            say(text)
        with lease.held(log, waiting=say), contextlib.ExitStack() as stack:
            begins = not log.rows and sweep.repeat == 1
            log.append("header", {**describe(), "sweep": sweep.plain(), "examples": splits.counts, **identity})
            launch = launch or (
                _here(sweep, say, begins) if options.in_process else _on_ray(sweep, options.address, stack, say, begins)
            )
            data = _PhaseData(sweep=sweep, pool=pool, splits=splits)
            launch(_jobs(itertools.chain(made, in_order), data, options, log, say))
        if sweep.reuse:
            say(reused.words())
    return path


def _other_data(path: Path, before: Json, now: Json) -> list[str]:
    """Say where a log was begun on other data than those that are there now: its trials could not be compared."""
    changes = data_changes(before, now)
    remedy = "trials of both could not be compared: put back what was there, or give the sweep another name"
    return [f"{path}: resumes a log of before: {'; '.join(changes)}; {remedy}"] if changes else []


def _left(failed: Sequence[TrialKey]) -> list[str]:
    """Say how many trials failed before and are not tried again."""
    text = f"{len(failed)} trials failed in an earlier run and are not retried; --retry-failed retries them"
    return [text] if failed else []


def _over(in_order: Iterator[SweepPhase]) -> Iterator[SweepPhase]:
    """Yield the phases that are done, and the one that is not."""
    for phase in in_order:
        yield phase
        if phase.controller.closed or not phase.controller.done:
            return


def _telling(watch: Watch, say: Callable[[str], None]) -> Watch:
    """Return a watcher that also says what happened to a trial: a table tells only how it ended."""

    def told(event: str, row: Json) -> None:
        if event == "fault" and "time" not in row:  # a row that is replayed has one
            say(f"{key_of(row)}: {row['message']}")
        watch(event, row)

    return Watching(one=told, many=many_of(watch))


def report_plan_of(sweep: Sweep) -> ReportPlan:
    """Return when the trials of a sweep report."""
    hours = sweep.cluster.hours_per_trial
    return ReportPlan(
        rungs=sweep.pruner.rungs(sweep.training.epochs),
        checkpoint_seconds=sweep.cluster.checkpoint_seconds,
        trial_seconds=None if hours is None else 3600 * hours,
        weights=bool(sweep.confirm.weights),
    )


def _here(sweep: Sweep, say: Callable[[str], None], begins: bool) -> Launch:
    """Return what runs phases in this process; of a sweep that begins, say which GPUs it leaves idle."""
    for text in idle_gpus(sweep.cluster, gpus_here() if begins else 0, "this machine"):
        say(text)
    return run_here


def _on_ray(
    sweep: Sweep, address: str | None, stack: contextlib.ExitStack, say: Callable[[str], None], begins: bool
) -> Launch:
    """Return what runs phases on a cluster, which is left when the stack is; likewise with the cluster's GPUs."""
    from regtune.execution.ray.connect import cluster
    from regtune.execution.ray.nodes import gpus_there
    from regtune.execution.ray.tune import run_on_ray

    stack.enter_context(cluster(sweep, address, say))
    place = "the cluster" if address else "this machine"
    for text in idle_gpus(sweep.cluster, gpus_there() if begins else 0, place):
        say(text)
    # Here no node will come: there is no worker to wait for one.
    terms = sweep.cluster if address else sweep.cluster.model_copy(update={"pending": 0})
    return functools.partial(run_on_ray, terms)


def lane_terms(sweep: Sweep, phase: PhaseName, options: RunOptions) -> LaneTerms:
    """Return how the trials of a phase are put into lanes.

    A lane trains the trials of one arm before those of the next, and is filled before anything is known of its
    trials: not where a limit may end search in the middle of the arms, nor where results decide what is tried next.
    """
    given, search = sweep.cluster.lane_width, phase == "search"
    waits = search and (sweep.adaptive or options.limit != Limit())
    width = (1 if waits else None) if given == "auto" else given
    return LaneTerms(width=width, ahead=not waits)


@dataclass(frozen=True, kw_only=True)
class _PhaseData:
    """The data of a sweep, of which each phase sees a part."""

    sweep: Sweep
    pool: Pool
    splits: Splits

    def of(self, phase: PhaseName) -> Splits | Pool:
        """Return what a phase reads: no test picture is where a choice is made."""
        fresh = self.sweep.confirm.splits == "fresh"
        if phase == "search" or (phase == "select" and not fresh):
            return self.splits.without_test()
        if phase == "select":
            return build_dataset(self.sweep.arms[0].template).sealed(self.pool)
        return self.pool if fresh else self.splits


def _jobs(
    phases: Iterable[SweepPhase], data: _PhaseData, options: RunOptions, log: Log, say: Callable[[str], None]
) -> Iterator[PhaseJob]:
    """Yield what is left of each phase, the next when the one before has been run; raises RuntimeError if it was not.

    Of a phase that a limit has closed that is written and said.
    """
    plan = report_plan_of(data.sweep)
    for phase in phases:
        controller = phase.controller
        controller.settle()
        if not controller.done:
            yield PhaseJob(
                controller=controller,
                data=data.of(phase.name),
                plan=dataclasses.replace(plan, weights=plan.weights and phase.name == "confirm"),
                terms=lane_terms(data.sweep, phase.name, options),
            )
        if not controller.done:
            raise RuntimeError("the phase ended before its trials had; run the same command again to resume")
        if controller.closed:
            log.append("limit", {"message": controller.closed})
            say(f"{controller.closed}: confirm takes what search has found")
