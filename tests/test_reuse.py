"""Trials of other logs are reused instead of trained, where nothing that decides their numbers is another."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

from regtune.analysis.budget import budget_by_phase
from regtune.analysis.comparison import comparison
from regtune.cli.dry_run import forecast
from regtune.core.errors import Refused
from regtune.core.records import Json, TrialKey
from regtune.core.reused import REUSED, origin
from regtune.data import Examples, Pool, data_fingerprint
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.limits import Work
from regtune.execution.ray.package import JobOptions, entrypoint
from regtune.execution.repeats import run_all
from regtune.execution.reuse import Reused, reusing
from regtune.execution.run import RunOptions, run
from regtune.execution.trained import Trained, TrainedRun
from regtune.reports.tables.budget import budget_caption
from regtune.results.loader import load
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.log import read_log, sealed
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.resuming import SMALL, Stopped, rows_of, stop_at, table_of_epochs, table_of_trials, trained_epochs
from tests.schedulers import Twins, trials_of
from tests.test_rebuilt import Memory
from tests.test_scheduler import epoch, finished
from tests.test_trained import A0, B0

# Two arms through search, whose trials are pruned, select and confirm; and with their rivals and the copy.
FULL = (
    SMALL.replace("trials = 2", "trials = 5\nfactor = 2.0\npopulation = 1")
    .replace('pruner = "none"', 'pruner = "asha"')
    .replace('"random"', '"paired"')
    .replace("[select]\nseeds = 0", "[select]\nseeds = 2\ncandidates = 2\nmost = 2")
    .replace("weights = false", "weights = false\naa = false")
)
OVER = (
    SMALL.replace("trials = 2", "trials = 3")
    .replace('"random"', '"paired"')
    .replace("[select]\nseeds = 0", "[select]\nseeds = 2\ncandidates = 3\nmost = 3")
    .replace("seeds = 2\nweights", "seeds = 3\nweights")
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a whole sweep, for reading only."""
    return ran(tmp_path_factory.mktemp("full"), "a", FULL)


def named(folder: Path, name: str, text: str = SMALL, reuse: tuple[str, ...] = ()) -> Sweep:
    """Return a sweep of another name that draws as the one called "a" does."""
    file = folder / f"{name}.toml"
    file.write_text(text.replace("[search]", '[search]\nstream = "a"') if name != "a" else text)
    return reusing(Sweep.read(file), reuse)


def ran(folder: Path, name: str, text: str = SMALL, reuse: tuple[str, ...] = (), **options: Any) -> Path:
    return run(named(folder, name, text, reuse), folder, in_process=True, **options)


def fresh_in(folder: Path) -> Path:
    """Return a folder for a sweep that is trained whole."""
    (folder / "fresh").mkdir()
    return folder / "fresh"


def folder_of(log: Path) -> str:
    return str(log.parent)


def reused_keys(log: Path) -> set[TrialKey]:
    return {TrialKey(*row["cell"]) for row in rows_of(log, "started") if REUSED in row}


def assert_equal(one: Path, other: Path) -> None:
    """Compare, bit for bit, all that two logs say and what tables make of it, but for times, order, what was reused."""
    for mine, theirs in zip(told(one), told(other), strict=True):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


def told(log: Path) -> list[pd.DataFrame]:
    rows = comparison(load(log))
    timed = [name for name in rows if str(name).endswith(("seconds", "reused", "data_share"))]
    keys = ["arm", "phase", "number"]  # what is reused comes into the log as soon as it is asked for
    trials = table_of_trials(log).drop(columns="reused_from").sort_values(keys, ignore_index=True)
    epochs = table_of_epochs(log).drop(columns="reused", errors="ignore").sort_values(keys, kind="stable")
    return [trials, epochs.reset_index(drop=True), rows.drop(columns=timed)]


def test_a_renamed_sweep_takes_everything_over(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with trained_epochs(monkeypatch) as trained:
        b = ran(tmp_path, "b", FULL, (folder_of(full),), say=said.append)
    assert not trained
    assert_equal(b, full)
    count = len(rows_of(b, "ended"))
    assert {row["cell"][1] for row in rows_of(b, "ended")} == {"search", "select", "confirm"}
    assert {row["outcome"]["status"] for row in rows_of(b, "ended")} == {"ok", "pruned"}
    assert said[-1] == f"reuse: {count} of {count} trials were reused ({count} from {full.parent}), 0 trained"


def test_rivals_and_the_copy_are_taken_over_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = ran(tmp_path, "a", OVER)
    with trained_epochs(monkeypatch) as trained:
        b = ran(tmp_path, "b", OVER, (folder_of(a),))
    assert not trained
    assert_equal(b, a)
    assert ("baseline (copy)", "confirm") in {key[:2] for key in reused_keys(b)}
    assert "rivals" in {key.phase for key in reused_keys(b)}


def test_a_changed_sweep_trains_what_is_new(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = FULL.replace("dropout = { dropout = {} }", "mixup = { mixup = {} }")
    fresh = ran(fresh_in(tmp_path), "b", changed)
    with trained_epochs(monkeypatch) as trained:
        b = ran(tmp_path, "b", changed, (folder_of(full),))
    assert_equal(b, fresh)
    assert {key[:2] for key in reused_keys(b)} == {("baseline", p) for p in ("search", "select", "confirm")}
    assert {trial for trial, _ in trained} == {row["id"] for row in rows_of(b, "asked") if row["cell"][0] == "mixup"}


def test_a_chain_says_where_each_is_from_and_charges_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = ran(tmp_path, "a")
    b = ran(tmp_path, "b", SMALL, (folder_of(a),))
    with trained_epochs(monkeypatch) as trained:
        c = ran(tmp_path, "c", SMALL, (folder_of(b),))
    assert not trained
    assert_equal(c, a)
    assert set(load(c).trials["reused_from"]) == {
        f"{folder_of(b)}: {arm}/{phase}/{n}"
        for arm in ("baseline", "dropout")
        for phase in ("search", "confirm")
        for n in range(2)
    }
    spent, first = budget_by_phase(load(c)), budget_by_phase(load(a))
    assert spent["reused"].to_list() == [2] * 4 and first["reused"].to_list() == [0] * 4
    assert not spent["seconds"].any() and first["seconds"].all()
    mine, theirs = (frame.drop(columns=["seconds", "gpu_seconds", "reused"]) for frame in (spent, first))
    pd.testing.assert_frame_equal(mine, theirs)
    assert Work(read_log(c)[0]).trials == 0 < Work(read_log(a)[0]).trials
    assert "reused: trials" in budget_caption(load(c)) and "reused" not in budget_caption(load(a))


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_driver_that_was_killed_in_between_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, key = ran(tmp_path, "a"), TrialKey("dropout", "search", 1)
    with pytest.raises(Stopped):
        ran(tmp_path, "b", SMALL, (folder_of(a),), watch=stop_at(key, number))
    with trained_epochs(monkeypatch) as trained:
        b = ran(tmp_path, "b", SMALL, (folder_of(a),))
    assert not trained
    assert_equal(b, a)
    rows = [(*row["cell"], row["epoch"]["number"]) for row in rows_of(b, "epoch")]
    assert len(rows) == len(set(rows))


# What is not the same is trained, and said.


def altered(log: Path, change: Callable[[Json], None]) -> None:
    """Rewrite a log, each of its rows changed."""
    lines, seal = [], 0
    for row in read_log(log)[0]:
        change(row)
        line, seal = sealed(row, seal)
        lines.append(line)
    log.write_bytes(b"".join(lines))


def header_with(**fields: Any) -> Callable[[Json], None]:
    def change(row: Json) -> None:
        if row["event"] == "header":
            row |= fields

    return change


def on_another_processor(row: Json) -> None:
    if row["event"] == "started":
        row["where"]["processor"] = "another"


def failed(row: Json) -> None:
    if row["event"] == "ended":
        row["outcome"]["status"] = "failed"


def other_gpus(row: Json) -> None:
    if row["event"] == "header":
        row["machine"]["gpus"] = "another"


UNFIT: list[tuple[Callable[[Json], None], str]] = [
    (header_with(code="another"), "8 trained by another version of the code"),
    (header_with(data="another"), "8 trained on other data"),
    (on_another_processor, "8 trained on another class of machine, or by another torch"),
    (other_gpus, "8 trained on another class of machine, or by another torch"),
    (failed, "8 failed"),
]


@pytest.mark.parametrize(("change", "why"), UNFIT)
def test_what_is_not_the_same_is_trained_and_said(change: Callable[[Json], None], why: str, tmp_path: Path) -> None:
    a, said = ran(tmp_path, "a"), list[str]()
    altered(a, change)
    b = ran(tmp_path, "b", SMALL, (folder_of(a),), say=said.append)
    assert said == [
        f"reuse {a.parent}: 0 of 8 trials there can be reused; not: {why}",
        "reuse: 0 of 8 trials were reused (none was there), 8 trained",
    ]
    assert not reused_keys(b)


def test_what_was_pruned_by_another_rule_is_trained(full: Path, tmp_path: Path) -> None:
    said: list[str] = []
    pruned = sum(row["outcome"]["status"] == "pruned" for row in rows_of(full, "ended"))
    other = FULL.replace("factor = 2.0", "factor = 3.0")
    fresh = ran(fresh_in(tmp_path), "b", other)
    assert_equal(ran(tmp_path, "b", other, (folder_of(full),), say=said.append), fresh)
    assert pruned and f"not: {pruned} pruned by another rule" in said[0]


def test_what_was_pruned_there_and_is_not_here_is_trained_to_its_end() -> None:
    """As where those that it was pruned against are not in this sweep; the scheduler here ends none."""
    rows: list[Json] = []
    log, scheduler = Memory(rows), Twins()
    known = Trained(trials_of(rows), log.read)
    there = origin("there", A0)
    run_there = TrainedRun(A0, [epoch(1, 0.4)], {"host": "there"}, folder="there", origin=there)
    known.lend({scheduler.at(A0).trial.id: run_there})
    phase = PhaseController(scheduler=scheduler, log=log, retries=1, trained=known)
    assert [phase.ask(), phase.ask()] != [None, None]
    phase.fault(A0, "its node died")
    task = phase.ask()
    assert task is not None and task.key == A0 and task.resume is None
    for number, outcome in ((1, None), (2, finished(0.4))):
        phase.take(A0, Report(epochs=(epoch(number, 0.4, outcome),)), {"host": "here"})
    mine = [row for row in rows if row.get("cell") == list(A0)]
    assert [row["epoch"]["number"] for row in mine if row["event"] == "epoch"] == [1, 2]
    assert mine[-1]["outcome"]["status"] == "ok"
    assert phase.ask() is None and B0 in phase.ended, "its twin has it from here"


def test_what_was_only_begun_is_trained(tmp_path: Path) -> None:
    a, said = ran(tmp_path, "a"), list[str]()
    begun = next(n for n, row in enumerate(read_log(a)[0]) if row["event"] == "ended")
    a.write_bytes(b"".join(a.read_bytes().splitlines(keepends=True)[:begun]))
    b = ran(tmp_path, "b", SMALL, (folder_of(a),), say=said.append)
    assert f"reuse {a.parent}: 0 of 1 trials there can be reused; not: 1 only partly trained" in said
    assert not reused_keys(b)


def test_another_name_draws_other_trials_and_is_told_how_not_to(tmp_path: Path) -> None:
    paired, said = SMALL.replace('"random"', '"paired"'), list[str]()
    a = ran(tmp_path, "a", paired)
    (tmp_path / "b.toml").write_text(paired)
    b = reusing(Sweep.read(tmp_path / "b.toml"), (folder_of(a),))
    assert not reused_keys(run(b, tmp_path, in_process=True, say=said.append))
    assert said[0].endswith('search.stream = "a" draws the same ones')


def test_another_seed_draws_other_trials_and_is_told_so(tmp_path: Path) -> None:
    a, said = ran(tmp_path, "a"), list[str]()
    (tmp_path / "b.toml").write_text("seed = 7\n" + SMALL)
    run(reusing(Sweep.read(tmp_path / "b.toml"), (folder_of(a),)), tmp_path, in_process=True, say=said.append)
    assert said[0].endswith('search.stream = "a" and seed = 0 draws the same ones')


def test_a_sweep_that_names_its_own_stream_goes_on(tmp_path: Path) -> None:
    a = ran(tmp_path, "a")
    before = a.read_bytes()
    assert ran(tmp_path, "a", SMALL.replace("[search]", '[search]\nstream = "a"')).read_bytes() == before


def test_what_another_cell_here_held_is_no_trained_trial(tmp_path: Path) -> None:
    counted = Reused()
    watch = counted.beside(lambda event, row: None)
    for arm, taken in (("a", {}), ("b", {"same": ["a", "search", 0]}), ("c", {"reused_from": {"folder": "other"}})):
        watch("started", {"cell": [arm, "search", 0], **taken})
        watch("ended", {"cell": [arm, "search", 0]})
    assert counted.words() == (
        "reuse: 1 of 3 trials were reused (1 from other), 1 trained, 1 copied from an identical trial of this sweep"
    )


# Weights.


def test_weights_are_copied_or_the_trial_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, gone = SMALL.replace("weights = false", "weights = true"), TrialKey("dropout", "confirm", 1)
    a = ran(tmp_path, "a", text)
    theirs, mine = (Checkpoints(tmp_path / name / "weights") for name in "ab")
    theirs.drop(gone)
    with trained_epochs(monkeypatch) as trained:
        b = ran(tmp_path, "b", text, (folder_of(a),))
    assert len(trained) == 4 and gone not in reused_keys(b) and mine.load(gone) is not None
    kept = TrialKey("baseline", "confirm", 0)
    assert mine.load(kept) == theirs.load(kept) is not None


# A dry run.


def test_a_dry_run_counts_what_would_be_taken_over_and_touches_nothing(tmp_path: Path) -> None:
    text = SMALL.replace("weights = false", "weights = true")
    a = ran(tmp_path, "a", text)
    Checkpoints(a.parent / "weights").drop(TrialKey("baseline", "confirm", 1))
    before = sorted(tmp_path.rglob("*"))

    def printed(text: str) -> str:
        console = Console(file=io.StringIO(), width=300)
        console.print(forecast(named(tmp_path, "b", text, (folder_of(a),)), tmp_path, RunOptions()))
        return str(console.file.getvalue())  # type: ignore[attr-defined]  # a StringIO

    assert "reused instead of trained: search 4, confirm 3 trials" in printed(text)
    assert "reused instead of trained: search 0 trials" in printed(text.replace("widths = [12]", "widths = [13]"))
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "b.toml"])


def test_a_dry_run_of_two_arms_alike_reads_what_it_did_not_write(tmp_path: Path) -> None:
    twins = SMALL.replace("dropout = { dropout = {} }", "twin = {}").replace('"random"', '"paired"')
    a = ran(tmp_path, "a", twins)
    console = Console(file=io.StringIO(), width=300)
    console.print(forecast(named(tmp_path, "b", twins, (folder_of(a),)), tmp_path, RunOptions()))
    assert "reused instead of trained: search " in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


# Where the folders are.


def test_a_folder_is_found_beside_the_sweep_file_or_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = ran(tmp_path, "a")
    (tmp_path / "b.toml").write_text('reuse = ["a", "elsewhere"]\n' + SMALL)
    assert Sweep.read(tmp_path / "b.toml").reuse == (str(a.parent), "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert reusing(Sweep.read("b.toml"), ("./a", "more")).reuse == ("a", "elsewhere", "more")
    assert "reuse" not in json.dumps(Sweep.read("b.toml").plain()), "what is reused changes no number"


def test_run_takes_the_folders_of_its_option(tmp_path: Path) -> None:
    ran(tmp_path, "a")
    named(tmp_path, "b")
    done = called("run", "b.toml", "--in-process", "--results", ".", "--reuse", "a", folder=tmp_path)
    assert "regtune: reuse: 8 of 8 trials were reused (8 from a), 0 trained\n" in done.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere", "expected a results folder with a log.jsonl, given {}, which is not a folder"),
        ("empty", "expected a results folder with a log.jsonl, given {}, a folder without one"),
        ("b", "expected the results folder of another sweep, given {}, this sweep's own"),
        ("b/repeat-2", "expected the results folder of another sweep, given {}, this sweep's own"),
    ],
)
def test_a_folder_that_is_none_is_refused(given: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = str(tmp_path / given)
    with pytest.raises(Refused, match=r"^reuse: ") as caught:
        ran(tmp_path, "b", SMALL, (folder,))
    assert message.format(folder) in str(caught.value)


def test_repeats_below_a_folder_are_its_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SMALL.replace("trials = 2", "trials = 2\nrepeats = 2")
    run_all(named(tmp_path, "a", text), tmp_path, RunOptions(in_process=True))
    with trained_epochs(monkeypatch) as trained:
        run_all(named(tmp_path, "b", text, (str(tmp_path / "a"),)), tmp_path, RunOptions(in_process=True))
    assert not trained


def test_a_job_is_given_the_folders(tmp_path: Path) -> None:
    line = entrypoint(named(tmp_path, "a"), Path("a.toml"), JobOptions(results="~/r", reuse=("~/r/my a", "/b")))
    assert line.endswith(" --reuse ~/'r/my a' --reuse /b")


def test_a_job_is_given_folders_of_the_head_only(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SMALL)
    (tmp_path / "b.toml").write_text('reuse = ["results/a"]\n' + SMALL)
    for words, option in ((("a.toml", "--reuse", "results/a"), "--reuse"), (("b.toml",), "reuse")):
        ended = called("submit", *words, folder=tmp_path)
        assert ended.returncode != 0 and f"regtune: {option}: expected a folder on the cluster" in ended.stderr


# Fingerprints of data.


def test_a_fingerprint_is_of_pictures_labels_and_order() -> None:
    pictures, labels = torch.arange(24, dtype=torch.uint8).view(6, 1, 2, 2), torch.tensor([0, 1, 0, 1, 0, 1])
    pool = Pool(train=Examples.of(images=pictures, labels=labels), test=None, classes=2)
    others = [
        replace(pool, train=Examples.of(images=pictures.flip(0), labels=labels)),
        replace(pool, train=Examples.of(images=pictures.float() / 255, labels=labels)),
        replace(pool, train=Examples.of(images=pictures, labels=1 - labels)),
        replace(pool, train=pool.train.take(torch.tensor([5, 4, 3, 2, 1, 0]))),
        replace(pool, train=pool.train.first(4)),
        replace(pool, test=pool.train),
        replace(pool, classes=3),
    ]
    assert data_fingerprint(
        replace(pool, train=Examples.of(images=pictures.clone(), labels=labels))
    ) == data_fingerprint(pool)
    assert len({data_fingerprint(each) for each in (pool, *others)}) == 1 + len(others)
