"""What a driver costs beside its trials: 2,000 trials of 20 reports that only sleep, on 8 slots.

    .venv/bin/python benchmarks/overhead.py
    .venv/bin/python benchmarks/overhead.py --trials 300 --sampler tpe
    .venv/bin/python benchmarks/overhead.py --trials 200 --profile

The stand-in sleeps 0.1 s before each of its reports, so a trial takes 2 s and the ideal of 2,000 is 500 s. Printed are
the wall time of the phase against that ideal, the driver's memory (VmRSS) when the phase begins, after 200 trials and
at its end, and the seconds that reading the finished log takes: a phase rebuilt from it, as a new driver does.
`--late` lets the stand-in sleep less where a report took time, which leaves what a trial's start costs.
The slots are CPUs by name only. Use an otherwise idle machine: the 8 workers start and report on its cores too, and
their start is in the wall time; hence also the pace of the trials after the first 200.
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import io
import os
import pstats
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

import ray

from regtune.core.records import Epoch, Json, Outcome
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneReport, LaneTerms, PhaseJob, Work
from regtune.execution.lane_work import Exchange
from regtune.execution.preflight import preflight
from regtune.execution.ray.connect import SETTINGS
from regtune.execution.ray.env_vars import environment
from regtune.execution.ray.tune import run_on_ray
from regtune.execution.run import report_plan_of
from regtune.search.search import SearchScheduler
from regtune.storage.environment import describe
from regtune.storage.log import Log
from regtune.sweep.sweep import Sweep

REPORTS, SECONDS, SLOTS, EARLY = 20, 0.1, 8, 200
SWEEP = """
data = { name = "synthetic" }
network = { name = "mlp" }
optimizer = { learning_rate = { low = 0.001, high = 0.2, log = true } }
training = { epochs = REPORTS, batch = 20 }
arms = { baseline = {}, dropout = { dropout = { p_hidden = { low = 0.1, high = 0.7 } } } }
search = { trials = COUNT, sampler = "SAMPLER", pruner = "none" }
select = { seeds = 0 }
confirm = { seeds = 0 }
"""


def stand_in(given: Work, data: object, plan: object, exchange: Exchange, *, late: bool) -> None:
    """Sleep and report, in place of `lane_work.work`."""
    (task,) = given.tasks
    # The last digits of the seed make the scores of trials differ; nothing here is trained.
    score, begun = task.trial.seed % 97 / 97, time.monotonic()
    measured = {"train_accuracy": score, "train_loss": 1 - score, "val_accuracy": score, "val_loss": 1 - score}
    metrics: dict[str, Any] = measured
    for number in range(1, REPORTS + 1):
        time.sleep(max(0.0, begun + number * SECONDS - time.monotonic()) if late else SECONDS)
        epoch = Epoch(
            number=number,
            objective=1.0,
            **metrics,
            learning_rate=0.1,
            kept=number,
            seconds=SECONDS,
            outcome=Outcome(status="ok", kept=number, metrics=metrics) if number == REPORTS else None,
        )
        exchange(LaneReport(width=1, reports=[(task.key, Report(epochs=(epoch,)))]))


def megabytes() -> float:
    """Return the memory of this process."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmRSS:") + 1]) / 1024


class Watch:
    """Counts ended trials and looks at the memory on the way."""

    def __init__(self) -> None:
        self.ended, self.memory, self.times = 0, dict[int, float](), dict[int, float]()

    def __call__(self, event: str, row: Json) -> None:
        """Take a row of the log."""
        if event == "ended":
            self.ended += 1
            if self.ended % EARLY == 0:
                self.memory[self.ended], self.times[self.ended] = megabytes(), time.perf_counter()
                print(f"  {self.ended} trials, {self.memory[self.ended]:.0f} MB", flush=True)


def replayed(sweep: Sweep, path: Path) -> float:
    """Return how many seconds a new driver needs to know what the log says."""
    begun = time.perf_counter()
    with Log(path) as log:
        controller = PhaseController(scheduler=SearchScheduler(sweep), log=log, retries=0)
    if not controller.done:
        raise RuntimeError(f"{len(controller.ended)} trials of the log have ended")
    return time.perf_counter() - begun


def hottest(profile: cProfile.Profile) -> str:
    """Return where the driver was, by the time spent below each function and in it."""
    text = io.StringIO()
    stats = pstats.Stats(profile, stream=text).strip_dirs()
    stats.sort_stats("cumulative").print_stats(60)
    stats.sort_stats("tottime").print_stats(35)
    return text.getvalue()


def main() -> None:
    """Run the phase and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000, help="of two arms together")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--late", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    watch, profile = Watch(), cProfile.Profile()
    with (
        tempfile.TemporaryDirectory(prefix="regtune-overhead-") as name,
        environment(SETTINGS | token | {"RAY_worker_niceness": "0"}),
    ):
        file, text = Path(name) / "overhead.toml", SWEEP.replace("REPORTS", str(REPORTS))
        file.write_text(text.replace("COUNT", str(given.trials // 2)).replace("SAMPLER", given.sampler))
        sweep, path = Sweep.read(file), Path(name) / "log.jsonl"
        _, splits = preflight(sweep, None)
        ray.init(
            address="local",
            num_cpus=SLOTS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
        )
        try:
            with Log(path) as log:
                controller = PhaseController(scheduler=SearchScheduler(sweep), log=log, watch=watch, retries=0)
                before, begun, busy = megabytes(), time.perf_counter(), time.process_time()
                work = functools.partial(stand_in, late=given.late)
                if given.profile:
                    profile.enable()
                terms = LaneTerms(width=1, ahead=False)
                job = PhaseJob(
                    controller=controller, data=splits.without_test(), plan=report_plan_of(sweep), terms=terms
                )
                run_on_ray(sweep.cluster, [job], work=work)
                profile.disable()
                wall, busy = time.perf_counter() - begun, time.process_time() - busy
        finally:
            ray.shutdown()
        rows, size, again = len(path.read_bytes().splitlines()), path.stat().st_size, replayed(sweep, path)
    if given.profile:
        print(hottest(profile))
    ideal = given.trials * REPORTS * SECONDS / SLOTS
    print(f"{given.trials} trials of {REPORTS} reports, {given.sampler}, {SLOTS} slots, load {os.getloadavg()}")
    print(f"wall {wall:.1f} s = {wall / ideal:.3f} x the ideal {ideal:.0f} s; CPU of the driver {busy:.1f} s")
    if given.trials > EARLY:
        rest = (begun + wall - watch.times[EARLY]) / (given.trials - EARLY)
        print(f"after the first {EARLY}: {rest * SLOTS:.3f} s a trial of {REPORTS * SECONDS:.1f} s")
    late = ", ".join(f"{memory:.0f} after {count}" for count, memory in watch.memory.items())
    print(f"driver memory in MB: {before:.0f} at first, {late}")
    print(f"replay of {rows} rows, {size / 1e6:.1f} MB: {again:.2f} s")
    print(describe()["machine"])


if __name__ == "__main__":
    main()
