"""How full lanes are while there are trials for them, and what their width does to final accuracies.

    python benchmarks/slots.py [sweeps/quickstart.toml] [--width 8] [--pruner asha] [--seeds 100]

runs the search and the confirm phase of a sweep in this process and prints how many of the slot-epochs were those of
a trial until its lane got fewer trials than it had room for, and how many were idle after that. With --seeds it trains
so many seeds of the baseline one by one and in lanes of 64 instead, and compares their test accuracies: a paired t test
and that of Kolmogorov and Smirnov.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from scipy import stats

from regtune.core.records import Trial
from regtune.data import Splits
from regtune.execution import lane_work
from regtune.execution.run import run
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

WIDTH = 64


def filled(sweep: Sweep) -> Counter[str]:
    """Return the slot-epochs of a run: of trials and all, before and after the lane is short of trials."""
    found = Counter[str]()

    class Counted(lane_work._Slots):
        def epoch(self) -> None:
            when = "short" if self.short else "full"
            found[f"{when}, trained"] += len(self.open)
            super().epoch()
            found[f"{when}, all"] += self._begun().width

    before: Any = lane_work._Slots
    lane_work._Slots = Counted  # type: ignore[misc]  # counted for as long as this runs
    try:
        with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as folder:
            run(sweep, Path(folder), in_process=True)
    finally:
        lane_work._Slots = before  # type: ignore[misc]
    return found


def accuracies(trials: list[Trial], data: Splits, width: int) -> list[float]:
    """Return the test accuracies of trials that train in lanes of a width."""
    found = []
    for first in range(0, len(trials), width):
        lane = Lane(trials[first : first + width], data=data, width=width)
        for _ in lane:
            pass
        ends = [epochs[-1].outcome for epochs in lane.epochs[: len(trials) - first]]
        found += [float(end.metrics["test_accuracy"] or 0.0) for end in ends if end is not None]
    return found


def main() -> None:
    """Print how full lanes are, or what their width does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parents[1] / "sweeps" / "quickstart.toml")
    parser.add_argument("--width", type=int)
    parser.add_argument("--pruner")
    parser.add_argument("--seeds", type=int)
    given = parser.parse_args()
    prepare_process(1)
    sweep = Sweep.read(given.file)
    if given.seeds:
        arm = sweep.arm(sweep.baseline)
        middle = {path: (space.low * space.high) ** 0.5 for path, space in arm.space.items()}  # type: ignore[attr-defined]  # ranges
        trials = [arm.trial(middle, seed=seed, phase="confirm") for seed in range(given.seeds)]
        data = load_data(trials[0])
        alone, lanes = (accuracies(trials, data, width) for width in (1, WIDTH))
        paired, both = stats.ttest_rel(alone, lanes), stats.ks_2samp(alone, lanes)
        print(f"{given.seeds} seeds: {100 * sum(alone) / len(alone):.2f} % one by one, ", end="")
        print(f"{100 * sum(lanes) / len(lanes):.2f} % in lanes of {WIDTH}; ", end="")
        print(f"paired t p = {paired.pvalue:.2f}, Kolmogorov-Smirnov p = {both.pvalue:.2f}")
        return
    if given.pruner:
        text = given.file.read_text().replace('pruner = "none"', f'pruner = "{given.pruner}"')
        with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as folder:
            (Path(folder) / given.file.name).write_text(text)
            sweep = Sweep.read(Path(folder) / given.file.name)
    found = filled(sweep.in_lanes(given.width or "auto"))
    for when in ("full", "short"):
        trained, every = found[f"{when}, trained"], found[f"{when}, all"]
        words = "while there are trials" if when == "full" else "after that"
        print(f"{words}: {trained} of {every} slot-epochs were those of trials ({100 * trained / max(every, 1):.1f} %)")


if __name__ == "__main__":
    main()
