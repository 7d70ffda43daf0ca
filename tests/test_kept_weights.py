"""Which weights stay beside the log: those of all confirmed trials, or of each arm those that export would choose."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.cli.disk import largest, weights_words
from regtune.cli.dry_run import forecast
from regtune.core.errors import Refused
from regtune.core.metric import METRICS
from regtune.core.records import Outcome, Trial, TrialKey
from regtune.data import DataLocation
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.kept_weights import KeptWeights
from regtune.execution.run import RunOptions
from regtune.results.loader import load
from regtune.storage.checkpoints import Checkpoints, Saved
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from tests.resuming import SMALL, Stopped, by_key, ran, read, rows_of, stop_at
from tests.schedulers import Rows, Twins
from tests.test_scheduler import epoch

BEST = SMALL.replace("weights = false", 'weights = "best"').replace("seeds = 2", "seeds = 4")


def files(log: Path) -> list[str]:
    folder = log.parent / "weights"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def best_of(log: Path) -> list[str]:
    """Return which files there should be, by the numbers of the log: accuracy, then loss, then the number."""
    rows = [row for key, row in by_key(load(log)).items() if key.phase == "confirm" and row["status"] == "ok"]
    order = sorted(rows, key=lambda row: (-row["val_accuracy"], row["val_loss"], row["number"]))
    best = {arm: next(row for row in order if row["arm"] == arm) for arm in {row["arm"] for row in rows}}
    return sorted(f"{arm}-confirm-{row['number']}" for arm, row in best.items())


def test_of_each_arm_the_file_stays_that_export_chooses(tmp_path: Path) -> None:
    log = ran(tmp_path, BEST)
    assert files(log) == best_of(log) and len(files(log)) == 2
    done = CliRunner().invoke(app, ["export", str(log.parent), "--arm", "dropout", "--to", str(tmp_path / "to")])
    assert done.output == f"wrote {tmp_path}/to/dropout.pt\nwrote {tmp_path}/to/load_dropout.py\n"
    number = best_of(log)[1].rpartition("-")[2]
    assert f"of dropout/confirm/{number} of" in (tmp_path / "to" / "load_dropout.py").read_text()


def test_an_interrupted_run_and_more_seeds_end_with_one_file_an_arm(tmp_path: Path) -> None:
    more = BEST.replace("seeds = 4", "seeds = 6")
    whole = ran(tmp_path, more)
    again = tmp_path / "again"
    again.mkdir()
    log = again / "small" / "log.jsonl"
    for text, number, last in ((BEST, 3, 1), (more, 5, 4)):  # before the last epoch of a trial, and behind it
        with pytest.raises(Stopped):
            ran(again, text, watch=stop_at(TrialKey("dropout", "confirm", number), last))
        ran(again, text)
        assert files(log) == best_of(log)
    assert files(log) == files(whole)


def test_what_was_kept_of_all_goes_when_best_is_asked_for_and_not_in_a_dry_run(tmp_path: Path) -> None:
    everything = BEST.replace('"best"', "true")
    log = ran(tmp_path, everything)
    assert len(files(log)) == 8
    forecast(read(tmp_path, BEST), tmp_path, RunOptions())
    assert len(files(log)) == 8
    before = log.read_bytes()
    ran(tmp_path, BEST)
    assert files(log) == best_of(log) and log.read_bytes() == before


def test_no_file_of_the_hidden_copy_is_kept(tmp_path: Path) -> None:
    text = SMALL.replace("weights = false", "weights = true\naa = true").replace("seeds = 2", "seeds = 3")
    log = ran(tmp_path, text.replace("trials = 2", "trials = 1"))
    arms = {row["cell"][0] for row in rows_of(log, "ended") if row["cell"][1] == "confirm"}
    assert len(arms) == 3 and {name.rpartition("-confirm-")[0] for name in files(log)} == {"baseline", "dropout"}


def test_another_word_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("weights = false", 'weights = "bets"'))
    with pytest.raises(Refused, match=r"confirm\.weights: expected true, false or 'best', given 'bets'"):
        Sweep.read(tmp_path / "small.toml")


@pytest.mark.parametrize("metric", ["accuracy", "nll"])
@pytest.mark.parametrize("accuracies", list(itertools.permutations((0.2, 0.5, 0.5))))
def test_twins_both_have_their_best_in_any_order(accuracies: Sequence[float], metric: str, tmp_path: Path) -> None:
    """By loss the order is another: it is the number here."""
    log = Rows(tmp_path / "log.jsonl")
    weights = KeptWeights(Checkpoints(tmp_path / "weights"), metric=METRICS[metric], only_best=True)
    phase = PhaseController(scheduler=Twins("confirm", 3), log=log, retries=1, weights=weights)
    trained = 0
    while (task := phase.ask()) is not None:
        number, trained = task.key.number, trained + 1
        metrics = {"val_accuracy": accuracies[number], "val_loss": float(number)}
        phase.take(task.key, Report(weights=Saved(id=task.trial.id, epoch=1, content=b"")), {})
        phase.take(task.key, Report(epochs=(epoch(1, 0.5, Outcome(status="ok", metrics=metrics)),)), {})
    best = accuracies.index(0.5) if metric == "accuracy" else 0
    assert phase.done and trained == 3
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == [f"{arm}-confirm-{best}" for arm in "ab"]


def test_weights_of_a_trial_that_failed_in_the_end_go(tmp_path: Path) -> None:
    log = Rows(tmp_path / "log.jsonl")
    weights = KeptWeights(Checkpoints(tmp_path / "weights"), metric=METRICS["accuracy"], only_best=True)
    phase = PhaseController(scheduler=Twins("confirm", 3), log=log, retries=1, weights=weights)
    task = phase.ask()
    assert task is not None
    phase.take(task.key, Report(weights=Saved(id=task.trial.id, epoch=1, content=b"")), {})
    assert Checkpoints(tmp_path / "weights").load(task.key) is not None
    phase.end(task.key, Outcome(status="failed"))
    assert Checkpoints(tmp_path / "weights").load(task.key) is None


LARGE = SMALL.replace("widths = [12]", "widths = [300, 200]")


@pytest.mark.parametrize(("weights", "count"), [("true", 6), ('"best"', 2), ("false", 0)])
def test_plan_says_what_is_kept_at_most(weights: str, count: int, tmp_path: Path) -> None:
    text = LARGE.replace("weights = false", f"weights = {weights}\naa = true").replace("seeds = 2", "seeds = 3")
    log = ran(tmp_path, text)
    said = weights_words(read(tmp_path, text), DataLocation())
    sizes = [path.stat().st_size for path in (log.parent / "weights").glob("*")]
    each = largest(read(tmp_path, text), load_data(Trial.from_plain(rows_of(log, "asked")[0]["trial"])))
    assert all(0.97 * each < size <= each for size in sizes) and len(sizes) == count
    size = {0: "", 2: f", {2 * each / 1e3:.3g} kB", 6: f", {6 * each / 1e6:.3g} MB"}[count]
    first = f"at most {count} files{size}"
    assert said.startswith(f"weights kept for regtune export: {first} (weights = {weights}; ")
    others = {"true": 6, '"best"': 2, "false": 0}
    assert all(f"{name} {number} files" in said for name, number in others.items() if name != weights)


def test_plan_counts_files_where_the_data_are_missing(tmp_path: Path) -> None:
    text = SMALL.replace('name = "synthetic"', 'name = "mnist"').replace("test = 37\nnoise = 0.6\n", "")
    said = weights_words(read(tmp_path, text), DataLocation())
    assert (
        'at most 0 files (weights = false; true 4 files, "best" 2 files); the size of a file depends on the data: '
        in said
    )
    assert said.endswith("set REGTUNE_DATA or --data to one (--download fills it)")
