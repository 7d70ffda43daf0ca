"""The display's "best" and the table's "searched" are one number: of trials that may be chosen, at the kept epoch."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from regtune.analysis.budget import optimism
from regtune.cli.progress import Progress
from regtune.core.records import Json
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import ASHA, SWEEP, write_log
from tests.resuming import SMALL, read

LOSS = SWEEP.replace("population = 1", 'pruner = "none"').replace("epochs = 6", "epochs = 25")
STOPPING = LOSS.replace("mixup = { mixup = {} }", "mixup = { early_stopping = { patience = 2 } }")
RATES = LOSS.replace("high = 0.3", "high = 30.0")  # where accuracy goes down again, or training diverges
CHOSEN_EARLY = SWEEP.replace("population = 1", 'pruner = "epochs"\nstop_after = 3')
SELECTED = LOSS.replace("[select]\nseeds = 0", "[select]\nseeds = 2")


def shown(progress: Progress, sweep: Sweep) -> dict[str, float | None]:
    return {arm.name: progress.best.score("search", arm.name) for arm in sweep.arms}


def table(log: Path) -> dict[str, float | None]:
    rows = optimism(load(log)).to_dict("records")
    return {row["arm"]: None if math.isnan(row["searched"]) else row["searched"] for row in rows}


def replayed(sweep: Sweep, rows: list[Json]) -> Progress:
    progress = Progress(sweep)
    for row in rows:
        progress.watch(row["event"], row)
    return progress


@pytest.mark.parametrize(
    "text",
    [STOPPING, RATES, ASHA, CHOSEN_EARLY, pytest.param(SELECTED, marks=pytest.mark.slow), SMALL],
    ids=["keeps another epoch", "goes down again", "asha", "epochs", "select", "small"],
)
def test_the_display_has_what_the_table_has(text: str, tmp_path: Path) -> None:
    sweep = read(tmp_path, text)
    progress = Progress(sweep)
    log = run(sweep, tmp_path, in_process=True, watch=progress.watch)
    best = table(log)
    assert any(best.values())
    assert shown(progress, sweep) == best
    assert shown(replayed(sweep, read_log(log)[0]), sweep) == best, "after a restart too"


def test_after_every_row_the_two_are_the_same(tmp_path: Path) -> None:
    """Also while trials are under way, whose score may be another when they end."""
    sweep = read(tmp_path, STOPPING)
    rows = read_log(run(sweep, tmp_path, in_process=True))[0]
    ends = [n for n, row in enumerate(rows) if row["event"] == "ended" and row["cell"][1] == "search"]
    assert ends
    for n in ends[::3]:
        for rest in (0, 1, 4):
            part = rows[: n + 1 + rest]
            write_log(tmp_path / "part" / "log.jsonl", part)
            assert shown(replayed(sweep, part), sweep) == table(tmp_path / "part")


def test_the_best_epoch_is_not_what_is_kept(tmp_path: Path) -> None:
    """In at least one trial of the sweep above: else the tests say nothing."""
    sweep = read(tmp_path, STOPPING)
    rows = read_log(run(sweep, tmp_path, in_process=True))[0]
    accuracies: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        if row["event"] == "epoch" and row["cell"][1] == "search":
            accuracies.setdefault(tuple(map(str, row["cell"])), []).append(row["epoch"]["val_accuracy"])
    best = {arm: max(max(v) for key, v in accuracies.items() if key[0] == arm) for arm in ("baseline", "mixup")}
    searched = shown(replayed(sweep, rows), sweep)
    assert any(best[arm] != searched[arm] for arm in best)
