"""Where a sweep is told to end, and what ends a trial: limits, and trials that moved to other processors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regtune.core.records import Epoch, Json, TrialKey
from regtune.execution.limits import Limit, Spent, Work
from regtune.reports.tables.caption import caption
from regtune.results.loader import load
from regtune.storage.lease import SECONDS
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.resuming import SMALL, assert_same_results, by_key, ran, rows_of, stopped

NOW = Limit(hours=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("undisturbed"))


def epoch(seconds: float) -> Epoch:
    return Epoch(
        number=1, objective=1.0, train_accuracy=0.5, train_loss=1.0, val_accuracy=0.5, val_loss=1.0,
        learning_rate=0.1, kept=1, seconds=seconds,
    )  # fmt: skip


def statuses(log: Path) -> dict[tuple[str, str, int], str]:
    return {(key.arm, key.phase, key.number): row["status"] for key, row in by_key(load(log)).items()}


def test_gpu_hours_are_seconds_of_epochs_times_the_share_of_a_gpu() -> None:
    key = ["baseline", "search", 0]
    rows = [
        {"event": "epoch", "cell": key, "time": 0.0, "epoch": epoch(3600.0).plain()},
        {"event": "ended", "cell": key, "time": 0.0},
    ]
    spent = Spent(Limit(gpu_hours=1.0), Work(rows), gpus_per_trial=0.5)
    assert spent.over() == ""
    spent.add(epoch(3599.0))
    assert spent.over() == ""
    spent.add(epoch(1.0))
    assert spent.over() == "the limit of 1 GPU-hours is reached"
    assert Spent(Limit(gpu_hours=1.0), Work(rows), gpus_per_trial=1.0).over() == "the limit of 1 GPU-hours is reached"


def test_hours_are_those_of_all_drivers_so_far() -> None:
    rows: list[Json] = [{"event": "row", "time": 60.0 * minute} for minute in range(91)]
    assert Spent(Limit(hours=1.5), Work(rows), gpus_per_trial=0.0).over() == "the limit of 1.5 hours is reached"
    assert Spent(Limit(hours=1.6), Work(rows), gpus_per_trial=0.0).over() == ""
    assert Spent(Limit(), Work(rows), gpus_per_trial=1.0).over() == ""


def at_work(times: list[float]) -> float:
    return Work({"event": "row", "time": time} for time in times).drivers


def test_time_in_which_no_driver_lived_does_not_count() -> None:
    times = [0.0, 10.0, 10.0 + SECONDS, 20.0 + SECONDS, 10_000.0, 10_001.0]
    assert at_work(times) == 10.0 + 10.0 + 1.0
    assert at_work([]) == 0.0
    assert at_work([5.0, 4.0, 6.0]) == 2.0  # a clock that was set back


def test_a_limit_that_is_reached_at_once_leaves_a_log_that_says_so(tmp_path: Path) -> None:
    log = ran(tmp_path, limit=NOW)
    assert [row["event"] for row in read_log(log)[0]] == ["lease", "header", "limit", "lease"]
    assert set(statuses(log).values()) == {"missing"}
    assert "Search ended early, since the limit of 0 hours is reached" in caption(load(log))


def test_at_a_limit_confirm_takes_what_was_found_and_a_later_run_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    log, said = stopped(tmp_path, TrialKey("dropout", "search", 1), 2), list[str]()
    ran(tmp_path, limit=NOW, say=said.append)
    assert [row["message"] for row in rows_of(log, "limit")] == ["the limit of 0 hours is reached"]
    assert said == ["the limit of 0 hours is reached: confirm takes what search has found"]
    status = statuses(log)
    assert status.pop(("dropout", "search", 1)) == "interrupted"
    assert set(status.values()) == {"ok"}
    note = "Search ended early, since the limit of 0 hours is reached. Arms may have had unequal budgets."
    assert note in caption(load(log))
    params = load(log).trials.set_index(["arm", "phase", "number"])["params"]
    assert params["dropout", "confirm", 0] == params["dropout", "search", 0]
    ran(tmp_path)
    assert_same_results(log, undisturbed)
    assert note not in caption(load(log))


def test_a_limit_in_the_middle_ends_the_trial_under_way_after_its_epoch(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[Json] = []
    with monkeypatch.context() as limited:
        limited.setattr(Spent, "over", lambda self: "the limit of 1 hours is reached" if len(epochs) >= 7 else "")
        log = ran(
            tmp_path, limit=Limit(hours=1), watch=lambda event, row: epochs.append(row) if event == "epoch" else None
        )
    search = [tuple(row["cell"]) for row in rows_of(log, "epoch") if row["cell"][1] == "search"]
    assert search == [("baseline", "search", 0)] * 4 + [("dropout", "search", 0)] * 3
    status = statuses(log)
    assert status["baseline", "confirm", 0] == "ok"
    assert status["dropout", "search", 0] == "interrupted"
    assert status["dropout", "confirm", 0] == "missing"
    rows = len(read_log(log)[0])
    ran(tmp_path)
    new = read_log(log)[0][rows:]
    assert next(row for row in new if row["event"] == "epoch")["epoch"]["number"] == 4  # of the trial that was ended
    assert_same_results(log, undisturbed)


def test_an_end_that_a_dead_driver_had_decided_counts_for_confirm_at_a_limit(undisturbed: Path, tmp_path: Path) -> None:
    """The last epoch is in the log, the row of the end is not: the trial has ended, and may be the best."""
    rows, _ = read_log(undisturbed)
    end = next(n for n, row in enumerate(rows) if row["event"] == "ended")
    write_log(tmp_path / "small" / "log.jsonl", rows[:end])
    log = ran(tmp_path, limit=NOW)
    status = statuses(log)
    assert status["baseline", "search", 0] == status["baseline", "confirm", 1] == "ok"


SLOW = '''
import time
from dataclasses import dataclass
from regtune.regularizers import Forward, Regularizer

@dataclass(frozen=True, kw_only=True)
class Slow(Regularizer):
    """Takes its time."""

    def penalty(self, step: Forward):
        time.sleep(0.01)
        return 0.0
'''


def test_a_trial_that_takes_too_long_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three updates of 10 ms are an epoch; two epochs are longer than 50 ms, one is not so on an idle machine."""
    (tmp_path / "slow_method.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "slow_method", raising=False)
    text = 'plugins = ["slow_method"]\n' + SMALL.replace("{ dropout = {} }", "{ slow = {} }").replace(
        "baseline = {}\n", ""
    )
    log = ran(tmp_path, text.replace("[cluster]", f"[cluster]\nhours_per_trial = {0.05 / 3600}"))
    trials = load(log).trials.set_index(["phase", "number"])
    assert list(trials["status"]) == ["failed", "failed", "missing", "missing"]
    assert trials.loc[("search", 0), "message"] == (
        "it ran for longer than its limit of 1.389e-05 h (cluster.hours_per_trial)"
    )
    assert trials.loc[("search", 0), "epochs"] in {1, 2, 3}
    assert list(log.parent.glob("checkpoints/*")) == []


@pytest.mark.parametrize("differs_from", [1, 2])
def test_a_trial_that_goes_on_elsewhere_with_other_bits_is_noted_and_not_failed(
    undisturbed: Path, differs_from: int, tmp_path: Path
) -> None:
    rows, _ = read_log(undisturbed)
    end = next(n for n, row in enumerate(rows) if row["event"] == "epoch" and row["epoch"]["number"] == 3) + 1
    for row in rows[:end]:
        if row["event"] == "started":
            row["where"]["processor"] = "another processor"
        if row["event"] == "epoch" and row["epoch"]["number"] >= differs_from:
            row["epoch"]["val_loss"] += 1e-7
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, rows[:end])
    ran(tmp_path)
    (differs,) = rows_of(log, "differs")
    assert (differs["cell"], differs["epoch"]) == (["baseline", "search", 0], differs_from)
    assert set(statuses(log).values()) == {"ok"}
    (note,) = load(log).notes
    assert note.startswith("After an interruption, 1 trial resumed with numbers that were not identical to before")
    assert note in caption(load(log))


def test_a_trial_that_was_ever_elsewhere_may_differ_when_it_comes_back(undisturbed: Path, tmp_path: Path) -> None:
    """Begun elsewhere and interrupted twice, the second time here: what the log has is still from elsewhere."""
    rows, _ = read_log(undisturbed)
    place = next(n for n, row in enumerate(rows) if row["event"] == "started")
    here, first = rows[place], rows[place + 1]
    elsewhere = {**here, "where": {**here["where"], "processor": "another processor"}}
    first["epoch"]["val_loss"] += 1e-7
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, [*rows[:place], elsewhere, first, here])
    ran(tmp_path)
    assert len(rows_of(log, "differs")) == 1
    assert set(statuses(log).values()) == {"ok"}
