"""One driver for a cluster that is not there: lanes of made-up trials by a virtual clock, then a kill and a replay.

Every lane reports an epoch of all its members every 5 s of virtual time. What the driver does of it is real: it takes
the report apart as it comes over Ray, records it (LaneQueue, PhaseController, the scheduler with its pruner, the log on
the disk, the counts of the display) and makes the answer. Nothing trains: curves are made up, and there are no
checkpoints. Then the driver is gone, and what its log has is read again, by a driver that resumes and by a table:

    .venv/bin/python benchmarks/scale.py                      # a minute
    .venv/bin/python benchmarks/scale.py --full               # 1,000 lanes of 64, 200,000 trials of 100 epochs
    .venv/bin/python benchmarks/scale.py --pruner asha --stop 0.5
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from regtune.cli.progress import Progress
from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.lane_queue import LaneQueue, LaneReport, LaneTerms, OpenLane, PhaseJob
from regtune.execution.limits import Limit, Spent
from regtune.execution.past import Past
from regtune.execution.phases import SweepPhase, phases
from regtune.execution.reuse import Reused
from regtune.execution.trained import Trained
from regtune.execution.trial_queue import Task
from regtune.results.loader import load
from regtune.storage.environment import describe
from regtune.storage.log import Log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data

SECONDS = 5.0  # of virtual time between two reports of a lane
ARMS = (  # of almost 10,000 trials each at most
    "baseline", "confidence_penalty", "cosine_restarts", "dropout", "early_stopping", "elastic_net", "ema", "l1", "l2",
    "exponential_decay", "gaussian_dropout", "gradient_clipping", "inverse_time_decay", "label_smoothing", "max_norm",
    "linear_decay", "mixup", "staircase", "swa", "warm_up", "weight_decay",
)  # fmt: skip
SWEEP = """
[data]
name = "digits"
[network]
name = "mlp"
widths = [64, 64]
[optimizer]
learning_rate = {{ low = 0.001, high = 0.3, log = true }}
[training]
epochs = {epochs}
batch = 20
[arms]
{arms}
[search]
trials = {trials}
pruner = "{pruner}"
[confirm]
aa = false
[cluster]
lane_width = {width}
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the made-up sweep is; it is killed when this share of its trials has ended."""

    lanes: int
    width: int
    trials: int
    epochs: int
    pruner: str
    stop: float

    def sweep(self, folder: Path) -> Sweep:
        """Return the sweep, by way of a file."""
        arms = "\n".join(f"{name} = {{ {'' if name == 'baseline' else f'{name} = {{}}'} }}" for name in ARMS)
        text = SWEEP.format(**vars(self) | {"arms": arms, "trials": self.trials // len(ARMS)})
        (folder / "scale.toml").write_text(text)
        return Sweep.read(folder / "scale.toml")


@dataclass(kw_only=True)
class _Member:
    """A made-up trial: its curve rises to a height of its own, with noise."""

    task: Task
    length: int
    draws: random.Random
    height: float = field(init=False)
    pace: float = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.height, self.pace = self.draws.uniform(0.5, 0.99), self.draws.uniform(2.0, 20.0)

    def epoch(self) -> Epoch:
        """Return the next epoch; numbers come from float32 tensors, so they have its digits."""
        self.number += 1
        score = self.height * (1 - math.exp(-self.number / self.pace)) + self.draws.gauss(0.0, 0.01)
        score = min(max(score, 0.03), 0.97)
        own = np.array([1.2 - score, 1 - score, score, score - 0.02], np.float32).tolist()
        objective, loss, train, val = own
        outcome = None
        if self.number == self.length:
            metrics: dict[str, float | None] = {"train_accuracy": train, "train_loss": loss, "val_accuracy": val}
            metrics |= {"val_loss": loss, "val_ece": 0.03, "weight_norm": 12.5, "zero_share": 0.0, "distance": 5.5}
            outcome = Outcome(status="ok", kept=self.number, metrics=metrics)
        return Epoch(
            number=self.number,
            objective=objective,
            train_accuracy=train,
            train_loss=loss,
            val_accuracy=val,
            val_loss=loss + 0.1,
            learning_rate=0.1,
            kept=self.number,
            seconds=SECONDS / 64,
            data_share=0.01,
            outcome=outcome,
        )


class _FakeLane:
    """A lane that trains nothing."""

    def __init__(self, lane: OpenLane, width: int, draws: random.Random, length: int) -> None:
        self.lane, self._width, self._draws, self._length = lane, width, draws, length
        self._members: dict[TrialKey, _Member] = {}
        self.fill(lane.given.tasks)

    def fill(self, tasks: tuple[Task, ...]) -> None:
        """Begin with further trials."""
        for task in tasks:
            resumed = task.resume.epoch if task.resume else 0
            self._members[task.key] = _Member(task=task, length=self._length, draws=self._draws, number=resumed)

    def report(self) -> LaneReport:
        """Return an epoch of every member."""
        reports = [(key, Report(epochs=(member.epoch(),))) for key, member in self._members.items()]
        self.drop([key for key, report in reports if report.ends])
        return LaneReport(width=self._width, reports=reports, free=self._width - len(self._members))

    def drop(self, keys: list[TrialKey]) -> None:
        """Let trials go."""
        for key in keys:
            self._members.pop(key, None)

    @property
    def idle(self) -> bool:
        """Whether nobody is left in it."""
        return not self._members


def search_of(sweep: Sweep, log: Log, past: Past) -> tuple[SweepPhase, Progress]:
    """Return the search of a sweep as a run makes it, with the display that counts."""
    progress = Progress(sweep)
    spent, trained = Spent(Limit(), past.work, 0.0), Trained(past.trials, log.read)
    watch = Reused().beside(progress.watching)
    return next(phases(sweep, log, watch=watch, spent=spent, trained=trained)), progress


def work(folder: Path, size: Size) -> None:
    """Be the driver of a sweep until it is killed, and print what it took."""
    sweep, draws = size.sweep(folder), random.Random(0)  # noqa: S311 - made-up curves
    plan = ReportPlan(rungs=(), checkpoint_seconds=60.0, trial_seconds=None, weights=False)
    past = Past()
    with Log(folder / "log.jsonl", past) as log:
        log.append("header", {**describe(), "sweep": sweep.plain(), "examples": {}, "data": ""})
        phase, _ = search_of(sweep, log, past)
        job = PhaseJob(
            controller=phase.controller,
            data=load_data(sweep.arms[0].template),
            plan=plan,
            terms=LaneTerms(width=size.width),
        )
        begun = time.process_time()
        queue = LaneQueue(job, lanes=size.lanes)
        where = {"node": "n" * 56, "host": "node-17", "processor": "AMD EPYC", "torch": "2.14.1"}
        clock: list[tuple[float, int, _FakeLane]] = []
        for place in range(size.lanes):
            if (given := queue.begin("n")) is None:
                break
            heapq.heappush(
                clock,
                (
                    place * SECONDS / size.lanes,
                    place,
                    _FakeLane(OpenLane(queue, given), size.width, draws, size.epochs),
                ),
            )
        driver, epochs, told = time.process_time() - begun, 0, 0.0
        enough = int(size.stop * size.trials)
        print(f"begin: {len(clock)} lanes, {driver:.1f} s of driver CPU", flush=True)
        print(
            "| member-epochs | driver us per member-epoch since | log bytes per member-epoch | memory GB |", flush=True
        )
        print("|---:|---:|---:|---:|", flush=True)
        marks = itertools.count(1)
        mark, at, since = next(marks) * enough * size.epochs // 10, 0, 0.0
        while clock and len(phase.controller.ended) < enough:
            now, place, lane = heapq.heappop(clock)
            report = lane.report()
            sent = pickle.dumps((report, where))
            begun = time.process_time()
            got, here = pickle.loads(sent)  # noqa: S301 - our own
            answer = lane.lane.exchange(got, here)
            pickle.dumps(answer)
            driver_now = time.process_time() - begun
            driver, since, epochs = driver + driver_now, since + driver_now, epochs + len(report.reports)
            lane.drop(list(answer.stopped))
            lane.fill(tuple(answer.tasks))
            if not lane.idle:
                heapq.heappush(clock, (now + SECONDS, place, lane))
            elif (given := queue.begin("n")) is not None:
                lane.lane.end()
                heapq.heappush(
                    clock, (now + SECONDS, place, _FakeLane(OpenLane(queue, given), size.width, draws, size.epochs))
                )
            if epochs >= mark or not clock or len(phase.controller.ended) >= enough:
                told = 1e6 * since / max(1, epochs - at)
                print(f"| {epochs} | {told:.1f} | {_bytes(folder) / epochs:.0f} | {_memory():.2f} |", flush=True)
                mark, at, since = mark + enough * size.epochs // 10, epochs, 0.0
        ended = len(phase.controller.ended)
    print(
        f"all: {1e6 * driver / epochs:.1f} us of driver CPU per member-epoch, {epochs} of {ended} trials ended, n = 1"
    )
    os._exit(0)  # a kill: nothing is let go, nothing written


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("log*"))


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def replay(folder: Path, size: Size) -> None:
    """Be the driver that resumes, up to where it has given every lane its first trials."""
    sweep, timer, past = size.sweep(folder), _Timer(), Past()
    with Log(folder / "log.jsonl", past) as log:
        print(f"resume: {timer.words()} to read the log", flush=True)
        phase, _ = search_of(sweep, log, past)
        ended, still = len(phase.controller.ended), len(phase.controller.open())
        print(f"{timer.words()} to tell it: {ended} trials ended, {still} open; memory {_memory():.2f} GB", flush=True)
        job = PhaseJob(
            controller=phase.controller,
            data=load_data(sweep.arms[0].template),
            plan=ReportPlan(rungs=(), checkpoint_seconds=60.0, trial_seconds=None, weights=False),
            terms=LaneTerms(width=size.width),
        )
        queue = LaneQueue(job, lanes=size.lanes)
        lanes = sum(queue.begin("n") is not None for _ in range(size.lanes))
        print(f"{timer.words()} to give {lanes} lanes their first trials")


class _Timer:
    """Says how long it is since it last did."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def words(self) -> str:
        """Return wall and CPU time since the last time."""
        wall, cpu = time.perf_counter(), time.process_time()
        text = f"{wall - self._wall:.1f} s ({cpu - self._cpu:.1f} s of CPU)"
        self._wall, self._cpu = wall, cpu
        return text


def table(folder: Path, size: Size) -> None:
    """Load the results, as every table does first."""
    timer = _Timer()
    results = load(folder)
    print(f"load: {timer.words()}, {len(results.epochs)} epochs")


def measured(step: str, folder: Path, argv: list[str]) -> None:
    """Run a step in a process of its own; print how long it took and its peak memory."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, __file__, *argv, "--step", step, "--folder", str(folder)]) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{step} ended with {process.returncode}")
    wall, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
    print(
        f"{step}: {wall:.0f} s wall, {cpu:.0f} s CPU, peak {usage.ru_maxrss * 1024 / 1e9:.2f} GB, imports included\n",
        flush=True,
    )


def main() -> None:
    """Take the steps one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="1,000 lanes, 200,000 trials of 100 epochs")
    parser.add_argument("--lanes", type=int, default=20)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--trials", type=int, default=4_000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--pruner", default="cautious")
    parser.add_argument("--stop", type=float, default=0.95, help="share of the trials that have ended at the kill")
    parser.add_argument("--folder", type=Path, help="where the log is kept; a temporary folder if not given")
    parser.add_argument("--step", choices=["work", "replay", "table"], help="take one step only")
    given = parser.parse_args()
    lanes, trials, epochs = (1_000, 200_000, 100) if given.full else (given.lanes, given.trials, given.epochs)
    size = Size(lanes=lanes, width=given.width, trials=trials, epochs=epochs, pruner=given.pruner, stop=given.stop)
    if given.step:
        {"work": work, "replay": replay, "table": table}[given.step](given.folder, size)
        return
    print(f"{size}, {describe()['packages']} {describe()['machine']}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="regtune-scale-") as name:
        folder = given.folder or Path(name)
        for step in ("work", "replay", "table"):
            measured(step, folder, sys.argv[1:])


if __name__ == "__main__":
    main()
