"""A scheduler rebuilt from any prefix of a log asks and decides as the live one did there.

The logs are those of made-up sweeps over recorded curves: all samplers and pruners, arms with and without
conditions, three trials at a time in a random order, some that fail or diverge.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from regtune.core.records import Epoch, Json, Outcome, TrialKey
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.search.search import SearchScheduler
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.curves import recorded
from tests.schedulers import Rows
from tests.test_scheduler import epoch, finished

SAMPLERS = ("tpe", "random", "qmc", "grid")
OPEN = "open"
EPOCHS = 4
TRIALS = 9  # TPE learns from the sixth on
CAUTIOUS_TRIALS = 20  # nobody is ended before 8 have ended
PRUNERS = (
    'pruner = "asha"\nfactor = 1.5\npopulation = 1',
    'pruner = "asha"\nfactor = 2.0\npopulation = 2',
    'pruner = "epochs"\nstop_after = 3',
    'pruner = "none"',
    'pruner = "cautious"\nfactor = 1.5\npopulation = 1',
)
COCKTAIL = "dropout = { dropout = { switch = true }, mixing = { one_of = { mixup = {}, label_smoothing = {} } } }"


class Memory(Rows):
    """A log that is a list; rows go through JSON as they do in a file. Where an attempt runs is left out."""

    def __init__(self, rows: list[Json]) -> None:
        super().__init__(Path("log.jsonl"), rows)

    def append(self, event: str, fields: Json) -> int:
        if event != "started":
            self.rows.append(json.loads(json.dumps({"event": event, **fields}, allow_nan=False)))
        return len(self.rows) - 1


class Driver:
    """A search phase over a log."""

    def __init__(self, sweep: Sweep, rows: list[Json]) -> None:
        self.scheduler = SearchScheduler(sweep)
        self.log = Memory(rows)
        self.phase = PhaseController(scheduler=self.scheduler, log=self.log, retries=0)
        self.phase.settle()

    def tell(self, key: TrialKey, told: Epoch) -> str:
        return self.phase.take(key, Report(epochs=(told,)), {})

    def next_ask(self) -> Any:
        """Return what the scheduler would hand out next, and have it not handed out."""
        asked = self.scheduler.ask()
        if asked is None:
            return None
        del self.scheduler.arms[asked.key.arm].entries[asked.key.number]
        return asked.key, asked.trial.id, dict(asked.params)


def sweep_of(folder: Path, seed: int) -> Sweep:
    pruner = PRUNERS[seed // 4 % 5]
    trials = CAUTIOUS_TRIALS if "cautious" in pruner else TRIALS
    text = SWEEP.replace("trials = 4", f"trials = {trials}").replace("epochs = 6", f"epochs = {EPOCHS}")
    text = text.replace('"random"', f'"{SAMPLERS[seed % 4]}"')
    text = text.replace("population = 1", pruner).replace("[data]", f"seed = {seed}\n[data]", 1)
    if seed % 3 == 0:
        text = text.replace("dropout = { dropout = {} }", COCKTAIL)
    text = text.replace("validation = 32", "validation = 397")  # as many as the curves were recorded on
    path = folder / "rebuilt.toml"
    path.write_text(text)
    return Sweep.read(path)


def played(sweep: Sweep, seed: int) -> tuple[list[Json], dict[int, Any], dict[int, str]]:
    """Return the rows of a live search, what it would ask after so many rows, and what it decided at a row."""
    draws, live = random.Random(seed), Driver(sweep, [])
    asks, decisions = {0: live.next_ask()}, dict[int, str]()
    running: dict[TrialKey, list[float]] = {}
    while not live.phase.done:
        key = draws.choice(list(running)) if running else None
        if len(running) < 3 and (asked := live.phase.ask()) is not None:
            running[asked.key] = draws.choice(recorded())[:: draws.choice((1, 2, 4))][:EPOCHS]
        elif key is not None and draws.random() < 0.02:
            live.phase.end(key, Outcome(status="failed", message="its worker died"))
            del running[key]
        elif key is not None:
            number = EPOCHS - len(running[key]) + 1
            score, place = running[key].pop(0), len(live.log.rows)
            diverged = Outcome(status="diverged", message="not a number") if draws.random() < 0.02 else None
            outcome = diverged or (finished(score) if number == EPOCHS else None)
            decisions[place] = live.tell(key, epoch(number, score, outcome))
            if decisions[place] == "stop" or outcome is not None:
                del running[key]
        asks[len(live.log.rows)] = live.next_ask()
    return live.log.rows, asks, decisions


def expected(rows: list[Json], asks: dict[int, Any], count: int) -> Any:
    """Return what is asked for next after so many rows; OPEN where a cell is about to be given what another one has.

    Where the driver was killed between an epoch and the row of the end that follows, the end is made up for. In one
    call a live search may ask for several cells: of those that hold one trial only one is handed out.
    """
    while count not in asks:
        row, count = rows[count], count + 1
        if row["event"] == "asked":
            return TrialKey(*row["cell"]), row["id"], row["params"]
        if row["event"] != "ended":
            return OPEN
    return asks[count]


def check(sweep: Sweep, seed: int, every: int = 1) -> Counter[str]:
    """Rebuild from every so-manyth prefix of one log and compare; return what the log held."""
    rows, asks, decisions = played(sweep, seed)
    for count in range(seed % every, len(rows) + 1, every):
        rebuilt = Driver(sweep, rows[:count])
        assert expected(rows, asks, count) in (OPEN, rebuilt.next_ask())
        if count in decisions:
            row = rows[count]
            decided = rebuilt.tell(TrialKey(*row["cell"]), Epoch.from_plain(row["epoch"]))
            assert decided == decisions[count]
            after = len(rebuilt.log.rows)
            assert rebuilt.log.rows == rows[:after]
            assert rebuilt.next_ask() == asks[after]
    held = Counter(row["outcome"]["status"] for row in rows if row["event"] == "ended")
    return held + Counter({"prefixes": len(rows) + 1})


@pytest.mark.slow
def test_prefixes_of_20_logs(tmp_path: Path) -> None:
    """One log of every sampler with every pruner: every prefix, of the long ones of the cautious pruner a quarter."""
    held = Counter[str]()
    for seed in range(16):
        held += check(sweep_of(tmp_path, seed), seed)
    cautious = Counter[str]()
    for seed in range(16, 20):
        cautious += check(sweep_of(tmp_path, seed), seed, every=4)
    assert cautious["pruned"] > 5
    assert held["ok"] > 50 and held["pruned"] > 50 and held["diverged"] and held["failed"]


@pytest.mark.slow
def test_every_prefix_of_200_logs(tmp_path: Path) -> None:
    held = Counter[str]()
    for seed in range(20, 220):
        held += check(sweep_of(tmp_path, seed), seed)
    assert held["prefixes"] > 10_000 and held["diverged"] > 50 and held["failed"] > 50
