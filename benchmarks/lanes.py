"""A phase by lanes in this process: many trials of one structure at once, for benchmarks that run many sweeps.

    python benchmarks/lanes.py [sweeps/quickstart.toml]

runs the sweep twice into a temporary folder, with sampler "qmc" and nothing pruned: one trial after the other, and by
lanes. Prints the CPU seconds of both and how far their numbers are apart. A lane adds in another order than a trial
alone, so its epochs agree to rounding at first and drift apart like those of another machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from regtune.analysis.comparison import comparison
from regtune.core.errors import Refused
from regtune.core.records import Epoch
from regtune.data import Pool, Splits
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneTerms
from regtune.execution.run import Launch, run
from regtune.execution.trial_queue import Task
from regtune.results.loader import load
from regtune.storage.environment import location
from regtune.sweep.sweep import Sweep
from regtune.training.assembly import common
from regtune.training.build import split_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

WIDTH = 64  # trials in a lane at most
ASKED = 1000  # trials asked for before any of them is trained
DEAF = ("grid", "paired", "qmc", "random")  # samplers that do not listen to results
COMPARED = ("val_accuracy", "val_loss", "test_accuracy", "test_loss")


def by_lanes(sweep: Sweep, width: int = WIDTH) -> Launch:
    """Return what runs the phases of a sweep by lanes; raises Refused for a sweep that waits for results.

    What the log says of seconds is of whole lanes, and weights are not kept.
    """
    if sweep.search.sampler not in DEAF:
        raise Refused(f"lanes: expected search.sampler of {', '.join(DEAF)}, given {sweep.search.sampler!r}")
    if sweep.search.pruner != "none":
        raise Refused(f"lanes: expected search.pruner 'none', given {sweep.search.pruner!r}")
    if sweep.confirm.retrain != "none":
        raise Refused(f"lanes: expected confirm.retrain 'none', given {sweep.confirm.retrain!r}")

    def launch(controller: PhaseController, data: Splits | Pool, report_plan: ReportPlan, terms: LaneTerms) -> None:
        here, known = location(), dict[str, Splits]()
        while tasks := _asked(controller):
            for lane in _lanes(tasks, width, own_splits=isinstance(data, Pool)):
                ends = _trained(lane, data if isinstance(data, Splits) else _splits(lane, data, known))
                for task, epochs in zip(lane, ends, strict=True):
                    controller.take(task.key, Report(epochs=epochs), here)
                    controller.back(task.key)  # whom a limit stopped; nothing becomes of one that has ended

    return launch


def _asked(controller: PhaseController) -> list[Task]:
    """Return the trials that are handed out before any of them has ended."""
    return list(itertools.islice(iter(controller.ask, None), ASKED))


def _lanes(tasks: Sequence[Task], width: int, *, own_splits: bool) -> Iterator[list[Task]]:
    """Yield the trials that may share a lane, at most so many at a time."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        key = json.dumps(common(task.trial, own_splits=own_splits), sort_keys=True, default=str)
        groups.setdefault(key, []).append(task)
    for group in groups.values():
        for start in range(0, len(group), width):
            yield group[start : start + width]


def _splits(lane: Sequence[Task], pool: Pool, known: dict[str, Splits]) -> list[Splits]:
    """Return each trial's own splits; arms share them, so they are `known` once they are made."""
    made = []
    for task in lane:
        key = json.dumps(task.trial.data, sort_keys=True)
        if key not in known:
            known[key] = split_data(task.trial, pool)
        made.append(known[key])
    return made


def _trained(lane: Sequence[Task], data: Splits | Sequence[Splits]) -> list[tuple[Epoch, ...]]:
    """Return the epochs of each member.

    They are reported when the lane is over: the bits of a member depend on the width of its lane, so a driver that
    was killed in the middle must not find half a trial in the log that it would resume in a lane of another width.
    """
    prepare_process(lane[0].trial.threads)
    epochs: list[list[Epoch]] = [[] for _ in lane]
    for number in Lane([task.trial for task in lane], data=data):
        for mine, epoch in zip(epochs, number, strict=True):
            if epoch is not None:
                mine.append(epoch)
    return [tuple(mine) for mine in epochs]


def _differences(one: Path, other: Path) -> Iterator[str]:
    """Yield in words how far the numbers of two logs of the same sweep are apart."""
    first, second = load(one), load(other)
    keys = ["arm", "phase", "number"]
    epochs = first.epochs.merge(second.epochs, on=[*keys, "epoch"])
    for count in (1, 5, 30):
        gap = (epochs["val_loss_x"] / epochs["val_loss_y"] - 1).abs()[epochs["epoch"] == count]
        if len(gap):
            yield f"val_loss after epoch {count}: relative difference up to {gap.max():.1e}, median {gap.median():.1e}"
    trials = first.trials.merge(second.trials, on=keys)
    yield f"trials with another status: {(trials['status_x'] != trials['status_y']).sum()} of {len(trials)}"
    for name in COMPARED:
        gap = (trials[f"{name}_x"] - trials[f"{name}_y"]).abs().dropna()
        yield f"{name}: equal in {(gap == 0).mean():.0%} of trials, up to {gap.max():.2g} apart, mean {gap.mean():.2g}"
    arms = list(first.chosen)
    yield f"same choice in {sum(first.chosen[arm] == second.chosen.get(arm) for arm in arms)} of {len(arms)} arms"
    tables = comparison(first).merge(comparison(second), on="arm")
    yield f"same verdict in {(tables['verdict_x'] == tables['verdict_y']).sum()} of {len(tables)} arms"
    gap = (tables["difference_x"] - tables["difference_y"]).abs()
    yield f"difference to the baseline: up to {100 * gap.max():.3f} points apart, mean {100 * gap.mean():.3f}"


def _timed(sweep: Sweep, folder: Path, launch: Launch | None) -> tuple[Path, float]:
    """Run a sweep here and return its folder and the CPU seconds that it took."""
    before = time.process_time()
    path = run(sweep, folder, in_process=True, launch=launch)
    return path.parent, time.process_time() - before


def main() -> None:
    """Compare lanes with one trial after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parents[1] / "sweeps" / "quickstart.toml")
    sweep = Sweep.read(parser.parse_args().file)
    search = sweep.search.model_copy(update={"sampler": "qmc", "pruner": "none"})
    confirm = sweep.confirm.model_copy(update={"weights": False, "aa": False})
    sweep = sweep.model_copy(update={"search": search, "confirm": confirm})
    with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as folder:
        alone, slow = _timed(sweep, Path(folder) / "alone", None)
        lanes, fast = _timed(sweep, Path(folder) / "lanes", by_lanes(sweep))
        print(f"CPU seconds: {slow:.1f} one after the other, {fast:.1f} by lanes ({slow / fast:.1f} times less)")
        for text in _differences(alone, lanes):
            print(text)


if __name__ == "__main__":
    main()
