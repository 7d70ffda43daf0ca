"""Does a sweep say the same when it is run again? R sweeps of one file that differ in their seed, and what they say.

    python benchmarks/replication.py benchmarks/sweeps/noisy_before.toml RESULTS [--sweeps 8] [--seed 0] [--stride 100]
        [--workers 2] [--aa] [--read]

Each sweep has its folder RESULTS/seed-<seed>/<name>. The logs are the truth: run it again, and it resumes; with more
--sweeps there are more of them; with --read it only tells what those that are over say. Trials train by lanes where
that is faster; a worker has one thread. Prints a table and writes it beside the logs as RESULTS/replication.md and
.csv, and every verdict as verdicts.csv. `replicas` says what the numbers mean. With --aa the arms are the same thing,
and every verdict but "unresolved" or "equal" is false.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
from replicas import false_verdicts, summary

from regtune.analysis.comparison import comparison
from regtune.analysis.repeat_scores import repeat_scores
from regtune.analysis.repeats import counted_repeats
from regtune.execution.run import run
from regtune.reports.tables.folder import repeats_in
from regtune.sweep.sweep import Sweep

COLUMNS = {"difference_low": "low", "difference_high": "high"}


def verdicts_of(folder: Path) -> pd.DataFrame:
    """Return what the product's own table says of each arm but the first: arm, verdict, difference, low, high.

    That over whole searches for a sweep with repeats, else that over seeds. Differences are fractions, NaN where the
    table has none.
    """
    repeats = repeats_in(folder)
    table = repeat_scores(repeats)
    table = comparison(repeats[0]) if table is None else table
    return table.iloc[1:].rename(columns=COLUMNS)[["arm", "verdict", "difference", "low", "high"]]


def is_over(folder: Path, repeats: int) -> bool:
    """Return whether all repeats of a sweep are there and none of them has open trials."""
    if not (folder / "log.jsonl").is_file():
        return False
    return len(counted_repeats(repeats_in(folder)).counted) >= repeats


def nth(sweep: Sweep, seed: int) -> Sweep:
    """Return the sweep with another seed, which keeps no weights."""
    confirm = sweep.confirm.model_copy(update={"weights": False, "aa": False})
    return sweep.model_copy(update={"seed": seed, "confirm": confirm})


def complete(file: Path, results: Path, seed: int) -> tuple[int, float]:
    """Run what is left of all repeats of a sweep; return its seed and the CPU seconds that took."""
    begun = time.process_time()
    sweep = nth(Sweep.read(file), seed)
    for one in sweep.every_repeat():
        run(one, results / f"seed-{seed}", in_process=True)
    return seed, time.process_time() - begun


def run_sweeps(file: Path, results: Path, seeds: Sequence[int], workers: int) -> None:
    """Run what is left of the sweeps in processes of one thread each, and say when one is over."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when a worker loads torch
    begun = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(complete, file, results, seed) for seed in seeds]
        for count, future in enumerate(as_completed(futures), start=1):
            seed, spent = future.result()
            elapsed = time.monotonic() - begun
            print(f"seed {seed}: {spent:.0f} CPU s; {count} of {len(seeds)} after {elapsed:.0f} s", flush=True)


def main() -> None:
    """Run the sweeps and tell what they say together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--sweeps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stride", type=int, default=100, help="between seeds of sweeps; more than the repeats of one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--aa", action="store_true", help="the arms are the same thing: count false verdicts")
    parser.add_argument("--read", action="store_true", help="run nothing")
    given = parser.parse_args()
    sys.path.insert(0, str(given.file.resolve().parent))  # plugins lie beside the file; workers inherit the path
    sweep = Sweep.read(given.file)
    if given.stride < sweep.search.repeats:
        raise SystemExit(f"--stride: expected at least the {sweep.search.repeats} repeats, given {given.stride}")
    seeds = [given.seed + given.stride * number for number in range(given.sweeps)]
    if not given.read:
        run_sweeps(given.file, given.results, seeds, given.workers)
    folders = {seed: nth(sweep, seed).folder(given.results / f"seed-{seed}") for seed in seeds}
    over = [seed for seed in seeds if is_over(folders[seed], sweep.search.repeats)]
    if not over:
        raise SystemExit(f"{given.results}: expected a sweep that is over, given none yet")
    verdicts = pd.concat([verdicts_of(folders[seed]).assign(sweep=seed) for seed in over], ignore_index=True)
    table = summary(verdicts)
    words = f"{given.file.name}: {len(over)} of {len(seeds)} sweeps are over, {len(table) - 1} arms.\n\n"
    words += table.to_markdown(index=False, floatfmt=".2f") + "\n"
    if given.aa:
        words += f"\n{false_verdicts(verdicts)}\n"
    print(words)
    verdicts.to_csv(given.results / "verdicts.csv", index=False)
    table.to_csv(given.results / "replication.csv", index=False)
    (given.results / "replication.md").write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
