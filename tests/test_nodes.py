"""Faults on real Ray: workers that die, hang or run out of memory, nodes that go, nodes that were started by hand."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from regtune.core.records import Json
from regtune.execution.ray.nodes import Need
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import SWEEP
from tests.test_jobs import free_ports

TOKEN = "fedcba9876543210" * 4
# What befalls a trial once, at the first call in the middle of its training that finds no file `struck-…`.
SHAKY = '''
import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from regtune.regularizers import Regularizer
from regtune.core.knobs import knob

@dataclass(frozen=True, kw_only=True)
class Shaky(Regularizer):
    """Changes nothing, and once ends badly."""

    how: str = knob(default="killed", legal=("killed", "memory", "hangs", "interrupts"), meaning="how it ends")

    def schedule(self, progress):
        with open(f"FOLDER/steps-{self.how}-{os.getpid()}", "a") as file:
            file.write(f"{float(progress)}\\n")
        struck = Path(f"FOLDER/struck-{self.how}")
        if progress > 0.6 and not struck.exists():
            struck.touch()
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "memory":
                raise MemoryError("no more of it")
            if self.how == "interrupts":
                raise KeyboardInterrupt("no")
            ctypes.PyDLL(None).sleep(1000)  # in C, and nobody else gets the interpreter
        return 1.0
'''


def prepared(folder: Path, hows: Sequence[str], cluster: str) -> Path:
    """Return a sweep file with arms that are shaky, each in a way that it is named after."""
    (folder / "shaky_plugin.py").write_text(SHAKY.replace("FOLDER", str(folder)))
    arms = "\n".join(f'{how} = {{ shaky = {{ how = "{how}" }} }}' for how in hows)
    text = SWEEP.replace("mixup = { mixup = {} }", arms)
    text = text.replace("population = 1", 'pruner = "none"').replace("trials = 4", "trials = 2")
    path = folder / "shaky.toml"
    path.write_text('plugins = ["shaky_plugin"]\n' + text + f"[cluster]\n{cluster}\n")
    return path


def regtune(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "regtune", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=400
    )


def rows_of(folder: Path, event: str) -> list[Json]:
    rows, _ = read_log(folder / "results" / "shaky" / "log.jsonl")
    return [row for row in rows if row["event"] == event]


def beginnings(folder: Path, how: str) -> list[float]:
    """Return the share of the budget at which each attempt of a shaky trial began, as the methods themselves saw it."""
    found = []
    for file in folder.glob(f"steps-{how}-*"):
        shares = [2.0, *map(float, file.read_text().split())]
        found += [now for before, now in itertools.pairwise(shares) if now < before]
    return found


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a sweep of which a worker is killed, and one hangs; return its folder."""
    folder = tmp_path_factory.mktemp("shaken")
    prepared(folder, ["killed", "hangs"], "checkpoint_seconds = 0\nhours_per_trial = 0.001")
    done = regtune("run", "shaky.toml", folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "raylet" not in done.stdout, "Ray says of every worker that dies that it has died"
    return folder


def goes_on(folder: Path, how: str, said: str) -> None:
    """Check that the trial that was struck went on from its checkpoint, and all but a hung one are as without it."""
    (fault,) = rows_of(folder, "fault")
    assert fault["message"].startswith(said)
    assert fault["cell"][0] == how
    assert fault["node"]
    attempts = [row["after"] for row in rows_of(folder, "started") if row["cell"] == fault["cell"]]
    assert attempts[0] == 0 and attempts[-1] == 3, "the fourth of six epochs was under way"
    assert sorted(beginnings(folder, how))[-2:] == [0.0, 0.5], "the worker went on, too: it did not train them again"
    sys.path.insert(0, str(folder))
    try:
        sweep = Sweep.read(folder / "shaky.toml")
        here = run(sweep, folder / "here", in_process=True)  # `struck-…` is there, so nothing happens
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("shaky_plugin", None)
    ours, theirs = (undisturbed(load(p).trials) for p in (folder / "results" / "shaky", here))
    pd.testing.assert_frame_equal(ours, theirs)


def undisturbed(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the arms that did not hang, with all that a fault may not change."""
    kept = trials[trials["arm"] != "hangs"].drop(columns=["seconds", "faults"])
    return kept.sort_values(["phase", "arm", "number"], ignore_index=True)


def test_a_trial_goes_on_from_its_checkpoint_after_its_worker_was_killed(shaken: Path) -> None:
    goes_on(shaken, "killed", "The actor is dead because")


@pytest.mark.slow
def test_a_trial_goes_on_from_its_checkpoint_after_memory_ran_out(tmp_path: Path) -> None:
    prepared(tmp_path, ["memory"], "checkpoint_seconds = 0")
    done = regtune("run", "shaky.toml", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    goes_on(tmp_path, "memory", "MemoryError: no more")


def test_a_trial_that_hangs_in_c_ends_as_failed(shaken: Path) -> None:
    trials = load(shaken / "results" / "shaky").trials
    failed = trials[trials["status"] == "failed"]
    assert failed["message"].to_list() == ["it ran for longer than its limit of 0.001 h (cluster.hours_per_trial)"]
    assert failed["arm"].to_list() == ["hangs"]
    assert "hangs" not in {row["cell"][0] for row in rows_of(shaken, "fault")}, "what is its own is not tried again"


@pytest.mark.slow
def test_a_keyboard_interrupt_of_a_hook_in_a_worker_ends_its_trial_at_once(tmp_path: Path) -> None:
    """Tests in one process have every other exception."""
    prepared(tmp_path, ["interrupts"], "retries = 3")
    done = regtune("run", "shaky.toml", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    trials = load(tmp_path / "results" / "shaky").trials
    (message,) = trials[trials["status"] == "failed"]["message"]
    assert message.startswith("KeyboardInterrupt: no (shaky_plugin.py:")
    assert not rows_of(tmp_path, "fault")


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a head without room for trials and two nodes with labels, each by `ray start`; return the address."""
    scratch = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))  # sockets need a short path
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}.items():
        monkeypatch.setenv(name, value)
    (port,) = free_ports(1)
    address, ray = f"127.0.0.1:{port}", str(Path(sys.executable).parent / "ray")
    common = [ray, "start", "--block", "--node-ip-address", "127.0.0.1"]
    head = [*common, "--head", "--port", port, "--num-cpus", "0", "--include-dashboard", "false"]
    kinds = ["wanted", "wanted", "other"]
    nodes = [[*common, "--address", address, "--num-cpus", "1", "--labels", f"kind={kind}"] for kind in kinds]
    started, said = [], tmp_path / "ray.log"
    with said.open("w") as log:
        for words in ([*head, "--temp-dir", str(scratch)], *nodes):
            started.append(subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True))
            deadline = time.monotonic() + 60
            while said.read_text().count("Ray runtime started") < len(started):
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
        yield address
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=60)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.slow
def test_a_sweep_on_nodes_started_by_hand_keeps_to_its_labels_and_tries_again_elsewhere(
    by_hand: str, tmp_path: Path
) -> None:
    """regtune and the plugin travel to the nodes, whose own Python path has neither."""
    prepared(tmp_path, ["killed"], 'checkpoint_seconds = 0\nlabels = { kind = "wanted" }')
    done = regtune("run", "shaky.toml", "--address", by_hand, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    trials = load(tmp_path / "results" / "shaky").trials
    assert set(trials["status"]) == {"ok"}
    (fault,) = rows_of(tmp_path, "fault")
    started = [row["where"]["node"] for row in rows_of(tmp_path, "started")]
    assert len(set(started)) <= 2, "the third node has another label"
    again = [row["where"]["node"] for row in rows_of(tmp_path, "started") if row["cell"] == fault["cell"]][-1]
    assert again != fault["node"]


def test_an_address_where_no_cluster_is_is_refused_in_one_line(tmp_path: Path) -> None:
    prepared(tmp_path, ["killed"], "")
    for address, said in (("ray://127.0.0.1:1", "use regtune submit"), ("127.0.0.1:1", "expected a Ray cluster")):
        done = called("run", "shaky.toml", "--address", address, folder=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_workers_and_nodes_killed_under_load_lose_no_trial() -> None:
    """Three nodes of `ray.cluster_utils.Cluster`; the benchmark says what it expects, this runs a short one."""
    script = Path(__file__).parent.parent / "benchmarks" / "faults.py"
    words = [sys.executable, str(script), "--workers", "2", "--nodes", "1", "--trials", "3", "--seconds", "4"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'node': 1" in done.stdout and "'worker': 2" in done.stdout


@pytest.mark.parametrize(
    ("cpus", "gpus", "labels", "fits"),
    [
        (1, 0.0, {}, 8),
        (3, 0.0, {}, 2),
        (1, 1.0, {}, 2),
        (1, 0.25, {}, 8),
        (1, 1 / 3, {}, 6),
        (1, 0.4, {}, 4),
        (1, 0.0, {"kind": "H100"}, 8),
        (1, 0.0, {"kind": "A100"}, 0),
        (9, 0.0, {}, 0),
    ],
)
def test_how_many_trials_fit_on_a_node(cpus: int, gpus: float, labels: dict[str, str], fits: int) -> None:
    node: Json = {"Alive": True, "Labels": {"kind": "H100"}, "Resources": {"CPU": 8.0, "GPU": 2.0}}
    need = Need(cpus=cpus, gpus=gpus, labels=tuple(labels.items()))
    assert need.fits(node) == fits
    assert need.fits(node | {"Alive": False}) == 0
