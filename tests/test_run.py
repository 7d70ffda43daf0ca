"""A whole sweep in this process: the log as the only truth, and what survives a SIGKILL."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
import torch

from regtune.analysis.comparison import comparison
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.alone import attempt
from regtune.execution.lane_queue import PhaseJob
from regtune.execution.run import run
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.storage.log import Log, read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import ASHA, SWEEP, untimed, write_log

DRIVER = (
    "import os, signal, sys; from pathlib import Path; from regtune.sweep.sweep import Sweep; "
    "from regtune.execution.run import run; import regtune.storage.log as log; "
    "left, torn = int(sys.argv[3]), int(sys.argv[4]); write = os.write\n"
    "def killed(file, line):\n"
    "    global left\n"
    "    left -= 1\n"
    "    if left == 0:\n"
    "        write(file, line[:torn])\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    return write(file, line)\n"
    "log.os.write = killed\n"
    "run(Sweep.read(sys.argv[1]), Path(sys.argv[2]), in_process=True)\n"
)


def numbers(rows: list[Json]) -> Counter[str]:
    """Return what a log says of trials, without times, in any order."""

    def plain(row: Json) -> str:
        row = {name: value for name, value in row.items() if name != "time"}
        if row["event"] == "epoch":
            row["epoch"] = row["epoch"] | {"seconds": 0, "data_share": 0}
        return json.dumps(row, sort_keys=True)

    return Counter(plain(row) for row in rows if row["event"] in ("asked", "epoch", "ended"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a sweep file without pruning and the log of its undisturbed run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = folder / "small.toml"
    path.write_text(SWEEP.replace("population = 1", 'pruner = "none"'))
    return path, run(Sweep.read(path), folder, in_process=True)


def test_a_second_run_adds_nothing(undisturbed: tuple[Path, Path]) -> None:
    path, log = undisturbed
    before = log.read_bytes()
    assert run(Sweep.read(path), log.parent.parent, in_process=True) == log
    assert log.read_bytes() == before


def test_every_planned_cell_ran_once(undisturbed: tuple[Path, Path]) -> None:
    rows, torn = read_log(undisturbed[1])
    assert torn == 0
    assert [row["event"] for row in rows[:2]] == ["lease", "header"]
    assert rows[1]["packages"]["torch"]
    ends = Counter(tuple(row["cell"]) for row in rows if row["event"] == "ended")
    assert len(ends) == 3 * 4 + 3 * 3
    assert set(ends.values()) == {1}


def test_epochs_come_in_columns_whatever_version_wrote_them(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    rows, _ = read_log(undisturbed[1])
    before = load(undisturbed[1]).epochs
    by_key: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        if row["event"] == "epoch":
            by_key.setdefault(tuple(row["cell"]), []).append(row["epoch"]["val_loss"])
    assert before["val_loss"].tolist() == [loss for losses in by_key.values() for loss in losses]
    old = [row for row in rows if row["event"] == "epoch"][:9]
    for row in old:
        del row["epoch"]["data_share"], row["epoch"]["stage"]
    write_log(tmp_path / "log.jsonl", rows)
    after = load(tmp_path).epochs
    assert after["data_share"].isna().sum() == after["stage"].isna().sum() == 9
    pd.testing.assert_frame_equal(
        after.drop(columns=["data_share", "stage"]), before.drop(columns=["data_share", "stage"])
    )


@pytest.mark.parametrize(
    ("row", "torn"),
    [
        (129, 60),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(2, 0), (60, 7), (31, 100), (105, 0), (150, 10_000)]
        ),
    ],
)
def test_a_run_killed_anywhere_ends_as_the_undisturbed_one(
    undisturbed: tuple[Path, Path], tmp_path: Path, row: int, torn: int
) -> None:
    """Killed while the `row`-th row was written, `torn` bytes of it on disk; in search and in confirm."""
    path, log = undisturbed
    command = [sys.executable, "-c", DRIVER, str(path), str(tmp_path), str(row), str(torn)]
    killed = subprocess.run(command, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert killed.returncode == -signal.SIGKILL
    again = run(Sweep.read(path), tmp_path, in_process=True)
    assert numbers(read_log(again)[0]) == numbers(read_log(log)[0])
    pd.testing.assert_frame_equal(untimed(comparison(load(again))), untimed(comparison(load(log))))


def test_pruned_trials_stay_pruned_after_a_kill(sweep_file: Path, tmp_path: Path) -> None:
    sweep_file.write_text(ASHA)
    sweep = Sweep.read(sweep_file)
    log = run(sweep, tmp_path / "whole", in_process=True)
    rows = log.read_bytes().splitlines(keepends=True)
    ends = [number for number, row in enumerate(rows) if b'"pruned"' in row]
    assert ends, "pruning happens in this sweep"
    for cut in (ends[0], ends[-1]):  # the decision was made, and its row was never written
        target = tmp_path / f"cut{cut}" / sweep.name / "log.jsonl"
        target.parent.mkdir(parents=True)
        target.write_bytes(b"".join(rows[:cut]))
        again = run(sweep, tmp_path / f"cut{cut}", in_process=True)
        assert numbers(read_log(again)[0]) == numbers(read_log(log)[0])


def test_a_trial_that_is_another_one_now_is_said_to_be(sweep_file: Path, tmp_path: Path) -> None:
    """An interrupted trial begins again; where it gives other numbers than the log has, it fails and says so."""
    sweep = Sweep.read(sweep_file)
    log = run(sweep, tmp_path / "whole", in_process=True)
    rows, _ = read_log(log)
    place = next(number for number, row in enumerate(rows) if row["event"] == "epoch")
    rows[place]["epoch"]["val_loss"] += 0.5
    write_log(tmp_path / "cut" / sweep.name / "log.jsonl", rows[: place + 1])
    trials = load(run(sweep, tmp_path / "cut", in_process=True)).trials
    assert list(trials["status"]).count("failed") == 1
    assert trials.loc[trials["status"] == "failed", "message"].item().startswith("restarted, it gave other numbers")
    assert not trials["status"].isin(["running", "missing"]).any()


def test_another_version_of_a_plugin_is_another_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "versioned.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "small.toml"
    path.write_text('plugins = ["versioned"]\n' + SWEEP)
    run(Sweep.read(path), tmp_path, in_process=True)
    (tmp_path / "versioned.py").write_text("ONE = 2\n")
    with pytest.raises(Refused, match=r"differs in plugins\.versioned: \w+ -> \w+"):
        run(Sweep.read(path), tmp_path, in_process=True)


def test_a_changed_sweep_is_refused_with_what_differs(sweep_file: Path, tmp_path: Path) -> None:
    run(Sweep.read(sweep_file), tmp_path, in_process=True)
    sweep_file.write_text(SWEEP.replace("epochs = 6", "epochs = 7"))
    with pytest.raises(Refused, match=r"holds a sweep that differs in .*training\.epochs.*another name"):
        run(Sweep.read(sweep_file), tmp_path, in_process=True)


def test_a_second_driver_is_refused(sweep_file: Path, tmp_path: Path) -> None:
    with Log(tmp_path / "small" / "log.jsonl"), pytest.raises(Refused, match="another regtune is writing this log"):
        run(Sweep.read(sweep_file), tmp_path, in_process=True)


FAULTY = '''
from dataclasses import dataclass
import torch
from regtune.regularizers import Forward, Regularizer
from regtune.core.knobs import knob

@dataclass(frozen=True, kw_only=True)
class Faulty(Regularizer):
    """Raises."""

    size: float = knob(default=1.0, legal="[0, 9]", meaning="nothing", neutral=0.0)

    def penalty(self, step: Forward):
        raise RuntimeError("this method is broken")

@dataclass(frozen=True, kw_only=True)
class Explosive(Regularizer):
    """Diverges."""

    def penalty(self, step: Forward):
        return torch.tensor(float("nan"))
'''


def test_faults_end_their_own_trials_and_are_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty_methods.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "faults.toml"
    arms = "faulty = { faulty = {} }\nexplosive = { explosive = {} }"
    path.write_text('plugins = ["faulty_methods"]\n' + SWEEP.replace("mixup = { mixup = {} }", arms))
    results = load(run(Sweep.read(path), tmp_path, in_process=True))
    status: dict[tuple[str, str], set[str]] = {}
    for arm, phase, word in results.trials[["arm", "phase", "status"]].itertuples(index=False):
        status.setdefault((str(arm), str(phase)), set()).add(str(word))
    assert status["faulty", "search"] == {"failed"}
    assert status["explosive", "search"] == {"diverged"}
    assert status["faulty", "confirm"] == {"missing"}
    assert status["baseline", "confirm"] == {"ok"}
    text = markdown(tables(results))
    assert "- faulty/search/0 and 3 more failed: RuntimeError: this method is broken (faulty_methods.py:14)\n" in text
    assert "- explosive/search/0 and 3 more diverged: the training objective became nan in epoch 1\n" in text
    table = comparison(results).set_index("arm")
    assert table.loc["faulty", "search_failed"] == 4
    assert table.loc["faulty", "n"] == 0
    assert table.loc["faulty", "verdict"] == "unresolved"


def test_a_trial_that_fails_while_it_is_built_ends_itself_and_not_the_run(tmp_path: Path) -> None:
    text = SWEEP.replace("mixup = { mixup = {} }", "forgetful = { forgetful = {} }")
    (tmp_path / "forgetful.toml").write_text('plugins = ["tests.plugin_things"]\n' + text)
    results = load(run(Sweep.read(tmp_path / "forgetful.toml"), tmp_path, in_process=True))
    searched = results.trials[results.trials["phase"] == "search"]
    assert set(searched[searched["arm"] == "forgetful"]["status"]) == {"failed"}
    assert any(text.startswith("RuntimeError: nothing comes to mind (") for text in searched["message"])
    assert set(searched[searched["arm"] == "baseline"]["status"]) <= {"ok", "pruned"}


GPU = SWEEP.replace("trials = 4", "trials = 1") + "[cluster]\ngpus_per_trial = 0.5\n"


def on_the_cpu(jobs: Iterable[PhaseJob]) -> None:
    """Run what is left of phases as if there were a GPU."""
    for job in jobs:
        while (task := job.controller.ask()) is not None:
            for report in attempt(dataclasses.replace(task.trial, device="cpu"), job.data, job.plan):
                job.controller.take(task.key, report, {})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_trials_for_a_gpu_are_refused_in_a_process_without_one_before_the_first(tmp_path: Path) -> None:
    (tmp_path / "gpu.toml").write_text(GPU)
    sweep, words = Sweep.read(tmp_path / "gpu.toml"), r"cluster\.gpus_per_trial: expected 0 .* torch sees no GPU here"
    with pytest.raises(Refused, match=words):
        run(sweep, tmp_path, in_process=True)
    assert read_log(tmp_path / "gpu" / "log.jsonl") == ([], 0)
    done = called("run", "gpu.toml", "--in-process", folder=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    # Who runs phases otherwise is not asked for one, and where nothing is left to train none is needed.
    run(sweep, tmp_path, launch=on_the_cpu)
    rows = read_log(tmp_path / "gpu" / "log.jsonl")[0]
    run(sweep, tmp_path, in_process=True)
    assert rows and read_log(tmp_path / "gpu" / "log.jsonl")[0] == rows
