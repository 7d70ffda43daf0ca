"""The command line: what it prints, what it refuses, and that a refusal is one line and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

from regtune.cli.catalog import KINDS, things
from regtune.cli.sweeps import templates
from regtune.execution.run import run as run_sweep
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import METHODS, SWEEP, write_log
from tests.originals import bytes_of


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "small.toml").write_text(SWEEP)
    run_sweep(Sweep.read(folder / "small.toml"), folder / "results", in_process=True)
    return folder


def test_list_prints_every_method(results: Path) -> None:
    printed = called("list", folder=results).stdout
    assert all(name in printed for name in METHODS)
    assert all(word in printed for word in ("digits", "mlp", "adamw"))


def test_list_prints_the_card_of_one_thing(results: Path) -> None:
    printed = called("list", "dropout", folder=results).stdout
    assert "Not with: BatchNorm" in printed
    assert "p_hidden = 0.5 in [0, 1), search [0.1, 0.7], neutral 0.0: probability to drop a hidden unit" in printed


@pytest.mark.parametrize(
    ("name", "nearest"), [("dropot", "dropout"), ("network", "networks"), ("gird", "grid"), ("cautius", "cautious")]
)
def test_list_names_what_is_nearest_and_prints_nothing_else(results: Path, name: str, nearest: str) -> None:
    refused = called("list", "mixup", name, folder=results)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"regtune: list: unknown name {name!r} (did you mean {nearest!r}?)\n"


def test_list_prints_several_cards_and_tables_of_a_kind_in_their_order(results: Path) -> None:
    printed = called("list", "mixup", "pruners", "tpe", "asha", folder=results).stdout
    parts = ("Knobs:\n  alpha", "│ pruner │ cautious", "TPE: paired candidates first", "ASHA as Ray's AsyncHyperBand")
    places = [printed.rindex(part) for part in parts]
    assert places == sorted(places)
    assert "grace = 0.2 in [0.2, 1]: share of the epochs before the first rung" in printed
    for kind in KINDS:
        table = called("list", kind, folder=results).stdout
        assert all(name in table for name in things(kind))
        assert ("label_smoothing" in table) is (kind == "regularizers")


def test_list_prints_the_methods_as_a_markdown_table(results: Path) -> None:
    lines = called("list", "--format", "md", folder=results).stdout.splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == METHODS
    assert {line.count(" | ") for line in [lines[0], *lines[2:]]} == {3}
    assert called("list", "--format", "tabel", folder=results).returncode == 2


def test_table_prints_the_answer_and_on_request_markdown_and_csv(results: Path) -> None:
    brief = called("table", "results/small", folder=results).stdout
    assert brief.startswith("Better than baseline, this configuration: ")
    assert brief.endswith("\n  regtune report results/small\n  regtune table results/small --full\n")
    full = called("table", "results/small", "--full", folder=results).stdout
    assert full == called("table", "results/small", "--format", "md", folder=results).stdout
    assert "| baseline" in full
    assert called("table", "results/small", "--format", "csv", folder=results).stdout.startswith("arm,knobs,n,")


def test_a_recorded_row_is_trained_again_identically(results: Path) -> None:
    done = called("trial", "results/small", "--row", "mixup/confirm/1", folder=results)
    assert done.returncode == 0, done.stderr
    assert "identical: every number of 6 epochs" in done.stdout


def test_a_row_that_differs_is_told_apart_from_another_machine(results: Path) -> None:
    log = results / "results" / "small" / "log.jsonl"
    rows, _ = read_log(log)
    for row in rows:
        if row["event"] == "epoch" and row["cell"] == ["dropout", "confirm", 0]:
            row["epoch"]["val_loss"] += 1e-9
    changed = results / "changed"
    write_log(changed / "log.jsonl", rows)
    done = called("trial", "changed", "--row", "dropout/confirm/0", folder=results)
    assert done.returncode == 1
    assert "6 numbers differ, the first: epoch 1 val_loss" in done.stdout
    for row in rows:
        if row["event"] == "started":
            row["where"]["torch"] = "1.0"
    write_log(changed / "log.jsonl", rows)
    done = called("trial", "changed", "--row", "dropout/confirm/0", folder=results)
    assert done.returncode == 3
    assert "not comparable bit for bit, because torch was 1.0, is" in done.stdout


def test_a_trial_of_a_sweep_takes_knobs_by_hand(results: Path) -> None:
    words = (
        "trial",
        "small.toml",
        "--arm",
        "mixup",
        "--set",
        "mixup.alpha=0.4",
        "--set",
        "optimizer.learning_rate=0.02",
    )
    done = called(*words, "--seed", 3, folder=results)
    assert done.returncode == 0, done.stderr
    assert "'alpha': 0.4" in done.stdout
    assert "epoch 6: val" in done.stdout
    assert "test_accuracy" not in done.stdout


def test_data_lie_where_an_option_or_the_environment_says(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    x, y = bytes_of(0, 120, 4, 4), np.arange(120) % 4
    np.savez(folder / "own.npz", x=x, y=y)
    text = SWEEP.partition("[network]")[2]
    (tmp_path / "own.toml").write_text(f'[data]\nname = "npz"\npath = "own.npz"\nvalidation = 32\n[network]{text}')
    done = called("check", "own.toml", "--data", "data", folder=tmp_path)
    assert done.stdout == "own.toml: ok, 3 arms; 64 training, 32 validation, 24 test examples of 4 classes\n", (
        done.stderr
    )
    refused = called("run", "own.toml", folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("regtune: data npz: expected a data folder; set REGTUNE_DATA or --data")
    assert len(refused.stderr.splitlines()) == 1
    assert called("trial", "own.toml", "--data", "data", folder=tmp_path).returncode == 0
    ran = called("run", "own.toml", "--in-process", folder=tmp_path, REGTUNE_DATA="data")
    assert ran.returncode == 0, ran.stderr
    assert "mlp on npz own.npz, 64 training examples" in " ".join(ran.stdout.split())
    row = ("trial", "results/own", "--row", "baseline/confirm/0")
    assert called(*row, "--data", "data", folder=tmp_path).returncode == 0


def test_init_writes_the_shipped_sweeps_and_keeps_what_is_there(tmp_path: Path) -> None:
    first = called("init", "mine", folder=tmp_path)
    assert "wrote mine/quickstart.toml" in first.stdout
    assert "wrote mine/hidden_width.py" in first.stdout  # a plugin that sweeps beside it name
    (tmp_path / "mine" / "quickstart.toml").write_text("changed")
    assert "kept mine/quickstart.toml" in called("init", "mine", folder=tmp_path).stdout
    assert (tmp_path / "mine" / "quickstart.toml").read_text() == "changed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "none.toml"), "none.toml: expected a readable file"),
        (("trial", "small.toml", "--arm", "mixd"), "--arm: unknown arm 'mixd' (did you mean 'mixup'?)"),
        (("trial", "small.toml", "--set", "mixup.alpha=1"), "unknown method 'mixup' in arm baseline"),
        (("trial", "small.toml", "--arm", "mixup", "--set", "mixup.alfa=1"), "did you mean 'alpha'?"),
        (("trial", "small.toml", "--arm", "mixup", "--set", "mixup.alpha=-1"), "in [0, 1000], given -1"),
        (("trial", "small.toml", "--arm", "mixup", "--set", "alpha"), "expected method.knob=value"),
        (("trial", "results/small"), "needs --row"),
        (("trial", "results/small", "--row", "mixup/confirm/99"), "--row: unknown trial 'mixup/confirm/99'"),
        (("trial", "small.toml", "--row", "x"), "--row needs a results folder"),
        (("table", "nowhere"), "nowhere: expected a results folder"),
        (("table", "results/small", "--format", "pdf"), "--format: unknown format 'pdf'"),
        (("list", "--plugin", "no_such_module"), "plugin no_such_module: no module of that name"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_and_exit_code_2(results: Path, words: tuple[str, ...], said: str) -> None:
    done = called(*words, folder=results)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel that was built with the hatchling of this environment; nothing is fetched."""
    folder, root = tmp_path_factory.mktemp("wheel"), Path(__file__).resolve().parent.parent
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(root)]
    subprocess.run([sys.executable, "-m", *words], check=True, timeout=120)
    (found,) = folder.glob("regtune-*.whl")
    return found


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_works(wheel: Path, tmp_path: Path) -> None:
    """Of the environment of the tests it has the other packages, and not the checkout."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    words = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", *words], check=True)
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])  # whose own .pth files do not count

    def run(*words: str) -> str:
        command = [str(venv / "bin" / "python"), "-P", "-m", "regtune", *words]
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [str(venv / "bin" / "python"), "-P", "-c", "import regtune; print(regtune.__file__)"]
    assert str(site) in subprocess.run(where, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    run("init", ".", "--template", "own-network")
    small = ("training.epochs=1", "search.trials=1", "select.seeds=0", "confirm.seeds=2")
    assert "baseline" in run("run", "own_network.toml", "--in-process", *(w for s in small for w in ("--set", s)))
    run("report", "results/own_network")
    assert (tmp_path / "results" / "own_network" / "report.html").stat().st_size > 100_000


def test_a_wheel_brings_the_sweep_files(wheel: Path, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "from regtune.cli.sweeps import *; print(*[f.name for f in [*sweep_files(), *beside_sweeps()]])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    kinds = ("*.toml", "*.py")
    found = {path.name for path in (tmp_path / "site" / "regtune" / "templates").iterdir()}
    assert found | {"own-network"} == templates().keys()
    assert (tmp_path / "site" / "regtune" / "py.typed").is_file()
    assert done.stdout.split() == [file.name for kind in kinds for file in sorted((root / "sweeps").glob(kind))]
