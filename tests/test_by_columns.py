"""Epochs of a lane are written at once and told by columns to who resumes: all is as one row after the other."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from regtune.cli.progress import Progress
from regtune.core.records import Epoch, Json, Outcome, TrialKey
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.past import Past
from regtune.execution.trial_queue import TrialQueue
from regtune.execution.watch import many_of
from regtune.results.loader import load
from regtune.search.arms_and_copy import ArmsAndCopy
from regtune.search.scheduler import Suggestion
from regtune.search.search import SearchScheduler, TrialState
from regtune.storage.bundles import Bundle, bundled, expanded
from regtune.storage.log import Log, read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP, small_trial, write_log
from tests.schedulers import Twins
from tests.test_lane_runs import UNPRUNED, ran
from tests.test_scheduler import epoch, finished

EPOCHS = 6
PRUNERS = {
    "asha": 'pruner = "asha"\nfactor = 1.5\npopulation = 1',
    "cautious": 'pruner = "cautious"\nfactor = 1.5\npopulation = 1',
    "epochs": 'pruner = "epochs"\nstop_after = 3',
    "none": 'pruner = "none"',
    "nll": 'pruner = "asha"\nfactor = 1.5\npopulation = 1\nmetric = "nll"',
    "control": 'pruner = "asha"\nfactor = 1.5\npopulation = 1\ncontrol = 0.4',
}


def sweep_of(folder: Path, pruner: str, trials: int = 20) -> Sweep:
    text = SWEEP.replace("population = 1", PRUNERS[pruner]).replace("trials = 4", f"trials = {trials}")
    (folder / "columns.toml").write_text(text.replace("aa = false", "aa = true"))
    return Sweep.read(folder / "columns.toml")


def both(sweep: Sweep) -> ArmsAndCopy:
    assert sweep.copied is not None
    return ArmsAndCopy(SearchScheduler(sweep), SearchScheduler(sweep.copied))


def bundle_of(told: list[tuple[TrialKey, Epoch]]) -> Bundle:
    (_, row), *rest = (
        event for event, _ in bundled(("epoch", {"cell": list(key), "epoch": each.plain()}) for key, each in told)
    )
    assert not rest
    return Bundle({"event": "epochs", "time": 1.0, **row})


def states(scheduler: ArmsAndCopy) -> list[tuple[str, dict[int, TrialState]]]:
    arms = [*scheduler._arms.arms.items(), *scheduler._copy.arms.items()]  # type: ignore[attr-defined]  # both are searches
    return [(name, arm.entries) for name, arm in arms]


def curve(draws: random.Random, key: TrialKey, number: int) -> Epoch:
    """Return an epoch of a trial whose level shows early, so that rungs rank; now and then there is no number."""
    level = random.Random(str(key)).random()
    score = draws.choice([None, *[level * number / EPOCHS] * 9])
    made = epoch(number, score or 0.0, finished(level) if number == EPOCHS else None)
    kept = number - random.Random(f"{key} {number}").randrange(2) if number == 4 else number  # one that is not kept
    return Epoch(**{**vars(made), "val_accuracy": score, "kept": kept})


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_scheduler_that_is_told_by_columns_knows_and_decides_as_one_by_one(pruner: str, tmp_path: Path) -> None:
    sweep, draws, stops = sweep_of(tmp_path, pruner), random.Random(7), 0
    one, many = both(sweep), both(sweep)
    open_: dict[TrialKey, int] = {}
    while True:
        while len(open_) < 9 and (asked := one.ask()) is not None:
            assert many.ask() == asked
            open_[asked.key] = 0
        if len(open_) < 2:
            break
        open_ = {key: number + 1 for key, number in open_.items()}
        told = [(key, curve(draws, key, number)) for key, number in open_.items()]
        stopped = [place for place, each in enumerate(told) if one.tell(*each) == "stop"]
        assert sorted(many.tell_all(bundle_of(told))) == stopped
        stops += len(stopped)
        for place, (key, each) in enumerate(told):
            if place in stopped or each.outcome is not None:
                ended = each.outcome or Outcome(status="pruned")
                one.end(key, ended)
                many.end(key, ended)
                del open_[key]
    assert repr(states(many)) == repr(states(one)), "repr, since NaN is not equal to itself"
    assert (stops > 0) == (pruner != "none")


def log_of(folder: Path, sweep: Sweep, *, plain: bool, at_once: int = 1) -> Path:
    """Write what a search of lanes of 9 leaves when its driver is killed, by bundles or with a row for each epoch.

    Lanes report so many epochs of a trial `at_once`.
    """
    path, draws = folder / "log.jsonl", random.Random(3)
    with Log(path) as log:
        phase = PhaseController(scheduler=both(sweep), log=log, retries=0, phase="search")
        numbers: dict[TrialKey, int] = {}
        for _ in range(22 // at_once):
            while len(numbers) < 9 and (task := phase.ask()) is not None:
                numbers[task.key] = 0
            before, numbers = numbers, {key: min(number + at_once, EPOCHS) for key, number in numbers.items()}
            reports = [
                (key, Report(epochs=tuple(curve(draws, key, each) for each in range(before[key] + 1, number + 1))))
                for key, number in numbers.items()
            ]
            stopped = phase.take_all(reports, {})
            ended = {*stopped, *(key for key, report in reports if report.ends)}
            numbers = {key: number for key, number in numbers.items() if key not in ended}
    assert path.read_text().count('"event":"epochs"') > 10 // at_once
    if plain:
        write_log(path, read_log(path)[0])
        assert '"event":"epochs"' not in path.read_text()
    return path


@pytest.mark.parametrize(("pruner", "at_once"), [("asha", 1), ("cautious", 1), ("cautious", 3)])
def test_a_driver_and_its_display_resume_alike_from_bundles_and_from_rows(
    pruner: str, at_once: int, tmp_path: Path
) -> None:
    found = []
    for plain in (False, True):
        (tmp_path / str(plain)).mkdir()
        sweep = sweep_of(tmp_path / str(plain), pruner)
        progress, past, seen = Progress(sweep), Past(), list[tuple[str, object]]()
        log = Log(log_of(tmp_path / str(plain), sweep, plain=plain, at_once=at_once), past)
        with log:
            scheduler = both(sweep)
            phase = PhaseController(scheduler=scheduler, log=log, retries=0, watch=progress.watching, phase="search")
            PhaseController(
                scheduler=both(sweep),
                log=log,
                retries=0,
                watch=lambda event, row: seen.append((event, row["cell"])),  # noqa: B023 - called at once
            )
            work = past.work.trials
            trials = {trial: (each.status, len(each.run(log.read).epochs)) for trial, each in past.trials.found.items()}
        display = (progress.line(), progress.best._scores, progress._standing.words(), progress._epochs_of)
        spent = progress._silence._seconds
        found.append((phase.open(), phase.ended, repr(states(scheduler)), display, spent, seen, work, trials))
    assert found[0] == found[1]
    assert found[0][0] and found[0][1]


def test_tables_of_a_sweep_by_lanes_are_those_of_its_rows_one_by_one(tmp_path: Path) -> None:
    results = ran(tmp_path, UNPRUNED, 3)
    log = results.path / "log.jsonl"
    assert log.read_text().count('"event":"epochs"') > 20
    rows = read_log(log)[0]
    write_log(tmp_path / "plain" / "log.jsonl", rows)
    plain = load(tmp_path / "plain")
    for mine, theirs in ((plain.trials, results.trials), (plain.epochs, results.epochs)):
        pd.testing.assert_frame_equal(mine, theirs)


def lane_of_three(keys: list[TrialKey]) -> list[list[tuple[TrialKey, Report]]]:
    """Return what a lane of these trials reports: two epochs each, the second the last of the first trial."""
    reports = [[(key, Report(epochs=(epoch(number, 0.5),))) for key in keys] for number in (1, 2)]
    reports[1][0] = keys[0], Report(epochs=(epoch(2, 0.5, finished(0.5)),))
    return reports


def after_two_epochs(log: Log) -> tuple[PhaseController, list[TrialKey]]:
    """Return a phase that was told of a lane of three, whose first trial has ended, and the keys of these."""
    phase = PhaseController(scheduler=Twins(count=3), log=log, retries=0)
    keys = [task.key for task in iter(phase.ask, None)]
    for reports in lane_of_three(keys):
        phase.take_all(reports, {})
    return phase, keys


class Counted(Log):
    """A log that counts how often it is written to."""

    writes = 0

    def _append(self, text: bytes) -> None:
        self.writes += 1
        super()._append(text)


def test_what_a_lane_reports_is_written_at_once_before_anything_acts_on_it(tmp_path: Path) -> None:
    seen = list[tuple[str, int]]()
    log = Counted(tmp_path / "log.jsonl")
    with log:

        def watch(event: str, row: Json) -> None:
            seen.append((event, log.writes))

        phase = PhaseController(scheduler=Twins(count=3), log=log, retries=0, watch=watch)
        keys = [task.key for task in iter(phase.ask, None)]
        before = log.writes
        first, second = lane_of_three(keys)
        assert phase.take_all(first, {}) == []
        assert log.writes == before + 1
        assert phase.take_all(second, {}) == []
        assert log.writes == before + 2 and keys[0] in phase.ended
    assert [row["event"] for row in read_log(tmp_path / "log.jsonl")[0]] == [event for event, _ in seen]
    assert {writes for event, writes in seen if event == "ended"} == {before + 2}


def test_a_driver_that_resumes_knows_the_numbers_in_bundles(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        _, keys = after_two_epochs(log)
    with Log(path) as log:
        again = PhaseController(scheduler=Twins(count=3), log=log, retries=0)
        twins = [key._replace(arm="b") for key in keys]  # asked for, and waiting for the trials that they share
        assert again.open() == dict.fromkeys(keys[1:], 2) | dict.fromkeys(twins, 0)
        assert {task.key for task in iter(again.ask, None)} > set(keys[1:])
        same, other = epoch(2, 0.5), epoch(2, 0.25)
        again.take_all([(keys[1], Report(epochs=(same,))), (keys[2], Report(epochs=(other,)))], {})
        assert keys[1] not in again.ended and keys[2] in again.ended, "other numbers than the log has"
    rows = [row for row in read_log(path)[0] if row.get("cell") == list(keys[1])]
    assert [row["epoch"]["number"] for row in rows if row["event"] == "epoch"] == [1, 2]


def test_a_twin_has_what_its_trial_has_in_bundles(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        phase, keys = after_two_epochs(log)
        assert phase.ask() is None
        twin = keys[0]._replace(arm="b")
        assert twin in phase.ended
    rows = [row for row in read_log(path)[0] if row.get("cell") == list(twin)]
    assert [row["epoch"]["number"] for row in rows if row["event"] == "epoch"] == [1, 2]
    assert rows[-1]["outcome"] == finished(0.5).plain()


def test_of_a_bundle_only_trials_that_count_are_told_and_watched(tmp_path: Path) -> None:
    """One that is no longer planned, and one that was asked to be trained again."""
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        _, keys = after_two_epochs(log)
        log.append("retry", {"cells": [list(keys[1])], "mended": {}})
    seen = list[object]()
    with Log(path) as log:
        fewer = PhaseController(
            scheduler=Twins(count=2),
            log=log,
            retries=0,
            watch=lambda event, row: seen.append((event, row["cell"][2])),
        )
        twins = [key._replace(arm="b") for key in keys[:2]]
        assert fewer.open() == dict.fromkeys([keys[1], *twins], 0) and fewer.ended == {keys[0]}
    assert [each for each in seen if each in (("epoch", 1), ("epoch", 2))] == []
    assert seen.count(("epoch", 0)) == 2


def test_a_watch_of_one_event_sees_the_rows_of_a_bundle() -> None:
    told = [(TrialKey("a", "search", n), epoch(1, n / 10)) for n in range(3)]
    seen = list[Json]()
    bundle = bundle_of(told)
    many_of(lambda event, row: seen.append(row))(bundle)
    assert seen == [*bundle.rows()] and [Epoch.from_plain(row["epoch"]) for row in seen] == [e for _, e in told]
    assert [*expanded(seen[0])] == seen[:1]
    part = bundle.part([2, 0])
    assert [*part.rows()] == [seen[2], seen[0]]


class Line:
    """What waits, gone through from its beginning."""

    def __init__(self) -> None:
        self.waiting: dict[TrialKey, None] = {}
        self.running: dict[str, TrialKey] = {}

    def next(self, asked: dict[TrialKey, Asked]) -> TrialKey | None:
        free = [key for key in self.waiting if asked[key].asked.trial.id not in self.running]
        same = [key for key in free if asked[key].asked.trial.id == asked[free[0]].asked.trial.id]
        return max(same, key=lambda key: asked[key].epochs) if free else None


class Asked:
    """All that a queue looks at."""

    def __init__(self, key: TrialKey, seed: int, epochs: int) -> None:
        self.asked, self.epochs = Suggestion(key, small_trial(seed=seed), {}), epochs


@pytest.mark.parametrize("seed", range(20))
def test_the_next_is_the_longest_waiting_whose_trial_nobody_runs(seed: int) -> None:
    draws = random.Random(seed)
    asked = {
        TrialKey("a", "search", n): Asked(TrialKey("a", "search", n), n // 3, draws.randrange(3)) for n in range(9)
    }
    queue, line = TrialQueue(asked), Line()  # type: ignore[arg-type]  # of a progress it needs no more
    line.waiting = dict.fromkeys(asked)
    for _ in range(200):
        assert [*queue.waiting] == [*line.waiting]
        key = queue.next(asked)  # type: ignore[arg-type]  # as above
        assert key == line.next(asked)
        action = draws.choice(["hold", "hold", "wait", "over"])
        if action == "hold" and key is not None:
            queue.hold(key, asked[key])  # type: ignore[arg-type]  # as above
            line.waiting.pop(key)
            line.running[asked[key].asked.trial.id] = key
            continue
        key = draws.choice([*asked])
        line.waiting.pop(key, None)
        if line.running.get(asked[key].asked.trial.id) == key:
            del line.running[asked[key].asked.trial.id]
        if action == "over":
            queue.over(key, asked[key])  # type: ignore[arg-type]  # as above
        else:
            queue.wait(key, asked[key])  # type: ignore[arg-type]  # as above
            line.waiting[key] = None
