"""Trials that are never pruned: who they are, that others do not notice, and what the frames say of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from regtune.analysis.pruning import rung_correlations, wrongly_pruned
from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.core.selection import in_control_share
from regtune.execution.run import run
from regtune.results.loader import Results, load
from regtune.search.search import SearchScheduler
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import ASHA, SWEEP, write_log
from tests.test_scheduler import epoch

CONTROL = ASHA.replace("population = 1", "population = 1\ncontrol = 0.5").replace("trials = 4", "trials = 12")


def sweep_of(folder: Path, text: str = CONTROL) -> Sweep:
    (folder / "small.toml").write_text(text)
    return Sweep.read(folder / "small.toml")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("control")
    return load(run(sweep_of(folder), folder, in_process=True))


def test_the_share_is_a_share_and_a_function_of_the_name() -> None:
    drawn = [in_control_share("arm", number, 0.1) for number in range(10_000)]
    assert 850 < sum(drawn) < 1150  # 5 standard deviations of 30
    assert drawn == [in_control_share("arm", number, 0.1) for number in range(10_000)]
    assert drawn != [in_control_share("other", number, 0.1) for number in range(10_000)]
    assert not any(in_control_share("arm", number, 0.0) for number in range(100))
    assert all(in_control_share("arm", number, 1.0) for number in range(100))


def test_control_trials_are_not_pruned_and_the_answer_is_kept(results: Results) -> None:
    searched = results.trials[results.trials["phase"] == "search"]
    control = [in_control_share(arm, n, 0.5) for arm, n in zip(searched["arm"], searched["number"], strict=True)]
    assert set(searched[control]["status"]) == {"ok"}
    assert (searched["status"] == "pruned").any() and searched["spared"].notna().any()
    assert searched[[not c for c in control]]["spared"].isna().all()
    assert (searched["epochs"][searched["spared"].notna()] == 6).all()


def test_others_are_judged_as_if_the_spared_had_been_stopped(tmp_path: Path) -> None:
    plain = sweep_of(tmp_path, CONTROL.replace("control = 0.5", ""))
    with_control = sweep_of(tmp_path)
    told: list[list[str]] = []
    for sweep in (plain, with_control):
        scheduler, answers, stopped = SearchScheduler(sweep), list[str](), set[int]()
        for number in range(12):
            scheduler.arms["dropout"].ask(TrialKey("dropout", "search", number))
        for at in range(1, 6):
            for number in range(12):
                answer = "stop" if number in stopped else scheduler.tell(
                    TrialKey("dropout", "search", number), epoch(at, (number * 7 % 12 + at) / 20)
                )  # fmt: skip
                spared = scheduler.would_have_stopped_at(TrialKey("dropout", "search", number)) is not None
                stopped |= {number} if answer == "stop" else set()
                answers.append("stop" if spared else answer)
        told.append(answers)
    assert told[0] == told[1]
    assert "stop" in told[0]


def test_a_search_cut_anywhere_spares_the_same(results: Results, tmp_path: Path) -> None:
    rows, _ = read_log(results.path / "log.jsonl")
    spared = {tuple(row["cell"]): row["spared"] for row in rows if "spared" in row}
    assert spared
    at = next(place for place, row in enumerate(rows) if "spared" in row)
    for cut in (at - 3, at, len(rows) // 3):
        folder = tmp_path / str(cut)
        write_log(folder / "small" / "log.jsonl", rows[:cut])
        again, _ = read_log(run(sweep_of(tmp_path), folder, in_process=True))
        assert {tuple(row["cell"]): row["spared"] for row in again if "spared" in row} == spared


def test_the_frames_against_a_count_by_hand(results: Results) -> None:
    final = results.trials[(results.trials["phase"] == "search") & (results.trials["status"] == "ok")]
    table = {row["arm"]: row for row in wrongly_pruned(results).to_dict("records")}
    for arm, row in table.items():
        mine = [r for r in final.to_dict("records") if r["arm"] == arm]
        spared = [r["val_accuracy"] for r in mine if not math.isnan(r["spared"])]
        passed = [r["val_accuracy"] for r in mine if math.isnan(r["spared"])]
        control = sum(in_control_share(arm, r["number"], 0.5) for r in mine)
        best = sum(score > max(passed) for score in spared)
        assert (row["control"], row["spared"], row["best"]) == (control, len(spared), best)
        pool = [r for r in mine if in_control_share(arm, r["number"], 0.5)]
        draws = np.random.default_rng(0)
        scores = np.array([r["val_accuracy"] for r in pool])[drawn := draws.integers(len(pool), size=(100_000, 12))]
        best = (scores + 1e-9 * draws.random(scores.shape)).argmax(1)  # chance decides between equals
        lost = np.array([not math.isnan(r["spared"]) for r in pool])[drawn[np.arange(len(drawn)), best]]
        assert row["chance"] == pytest.approx(lost.mean(), abs=0.01)
    frame = rung_correlations(results)
    assert list(frame["rung"]) == [2] * 3
    assert set(frame.columns) == {"arm", "rung", "n", "correlation", "control_n", "control_correlation"}
    for row in frame.to_dict("records"):
        mine = [r for r in final.to_dict("records") if r["arm"] == row["arm"]]
        at_rung = results.epochs[(results.epochs["phase"] == "search") & (results.epochs["epoch"] == 2)]
        then = {r["number"]: r["val_accuracy"] for r in at_rung.to_dict("records") if r["arm"] == row["arm"]}
        pairs = [(then[r["number"]], r["val_accuracy"]) for r in mine]
        assert row["n"] == len(pairs)
        expected = stats.spearmanr([a for a, _ in pairs], [b for _, b in pairs]).statistic
        assert row["correlation"] == pytest.approx(expected, nan_ok=True)


def test_where_nothing_is_pruned_there_is_nothing_to_say(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, SWEEP.replace("population = 1", 'pruner = "none"').replace("trials = 4", "trials = 1"))
    found = load(run(sweep, tmp_path, in_process=True))
    assert rung_correlations(found).empty
    assert wrongly_pruned(found)["chance"].isna().all()
    assert "control" not in sweep.plain()["search"]


def test_control_without_asha_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r'search\.control: expected with pruner = "asha" or "cautious" only'):
        sweep_of(tmp_path, CONTROL.replace('"asha"', '"none"'))
