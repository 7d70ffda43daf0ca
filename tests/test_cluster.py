"""Real Ray: Tune trials of a function trainable on a local cluster, and nothing of it on the screen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import ray

from regtune.analysis.comparison import comparison
from regtune.data import DataLocation, Examples, Splits
from regtune.execution.ray.transfer import SharedData
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import build_dataset, load_data
from tests.command_line import called
from tests.conftest import ASHA, SWEEP, small_trial, untimed
from tests.test_loopback import SOCKETS, descendants, listening

GPU = SWEEP + "[cluster]\ngpus_per_trial = 0.5\n"
UNPRUNED = SWEEP.replace("population = 1", 'pruner = "none"')

# `prepare` looks through its whole process for tensors as long as the test split (37), and notes down every picture
# that any tensor of its process holds, by hash: splits share pictures, so lengths alone would say little.
WITNESS = '''
import gc
import hashlib
import os
from dataclasses import dataclass
import torch
from regtune.execution.ray.transfer import SharedData
from regtune.regularizers import Regularizer

@dataclass(frozen=True, kw_only=True)
class Witness(Regularizer):
    """Raises where a test split is in the process."""

    def prepare(self, net, data):
        for shared in [s for s in gc.get_objects() if isinstance(s, SharedData)]:
            if any(array.flags.writeable or array.flags.owndata for array in shared.sources):
                raise RuntimeError("this process has a copy of the pictures")
        tensors = [t for t in gc.get_objects() if isinstance(t, torch.Tensor) and t.ndim]
        held = [t for t in tensors if len(t) == 37]
        seen = {hashlib.sha256(p.numpy().tobytes()).hexdigest() for t in tensors if t.ndim == 4 for p in t}
        with open("niceness", "a") as file:
            file.write(f"{os.nice(0)}\\n")
        with open(f"seen-{'confirm' if held else 'search'}-{os.getpid()}", "a") as file:
            file.writelines(f"{one}\\n" for one in seen)
        if held:
            raise RuntimeError("this process holds the test split")
        return net
'''


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "regtune", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def hashes(examples: Examples) -> set[str]:
    return {hashlib.sha256(picture.numpy().tobytes()).hexdigest() for picture in examples.images}


def pictures(folder: Path, phase: str) -> set[str]:
    """Return the hashes that witnesses of a phase have noted down."""
    return {line for file in folder.glob(f"seen-{phase}-*") for line in file.read_text().splitlines()}


def test_what_is_not_in_the_splits_does_not_travel() -> None:
    splits = load_data(small_trial())
    searched = SharedData.pack(splits.without_test())
    assert searched.parts["test"] is None
    assert [len(source) for source in searched.sources] == [len(splits.train) + len(splits.validation)]
    shared_data = SharedData.pack(splits)
    assert len(shared_data.sources) == 1, "pictures that splits share travel once"
    back = shared_data.unpack()
    assert isinstance(back, Splits)
    assert back.test is not None
    assert splits.test is not None
    assert back.test.images.equal(splits.test.images)
    assert back.train.labels.equal(splits.train.labels)


SELECTED = """
[data]
name = "digits"
train = 60
validation = 60
test = 1000
[network]
name = "mlp"
widths = [12]
[optimizer]
learning_rate = { low = 0.01, high = 0.3, log = true }
[training]
epochs = 1
batch = 20
[arms]
baseline = {}
witness = { witness = {} }
[search]
trials = 3
sampler = "paired"
pruner = "none"
[select]
candidates = 2
seeds = 2
[confirm]
seeds = 3
aa = false
splits = "fresh"
weights = false
"""


@pytest.mark.slow
def test_select_on_ray_sees_no_test_picture_although_each_seed_has_a_split_of_its_own(tmp_path: Path) -> None:
    """Workers of search and select hold what is not for testing, those of confirm and rivals all of it."""
    (tmp_path / "witness_plugin.py").write_text(WITNESS.replace("37", "1000"))
    (tmp_path / "chosen.toml").write_text(SELECTED)
    command("run", "chosen.toml", "--plugin", "witness_plugin", folder=tmp_path)
    trial = small_trial(data={"name": "digits", "train": 60, "validation": 60, "test": 1000})
    pool = build_dataset(trial).pool(DataLocation.from_environment())
    assert pool.test is not None
    tested, rest = hashes(pool.test), hashes(pool.train)
    shown = pictures(tmp_path, "search")
    assert not shown & tested
    assert len(shown) > 120, "select has other splits than search"
    assert shown <= rest
    assert pictures(tmp_path, "confirm") & tested
    results = load(tmp_path / "results" / "chosen")
    status = Counter(results.trials[["arm", "phase", "status"]].itertuples(index=False, name=None))
    assert status["witness", "select", "ok"] == status["baseline", "select", "ok"] > 0
    assert status["witness", "confirm", "failed"] == status["baseline", "confirm", "ok"] == 3
    assert not status["witness", "select", "failed"]


def test_a_sweep_with_a_plugin_on_ray(tmp_path: Path) -> None:
    """The plugin reaches the workers; search workers never hold the test split, confirm workers do."""
    (tmp_path / "witness_plugin.py").write_text(WITNESS)
    (tmp_path / "witness.toml").write_text(ASHA.replace("mixup = { mixup = {} }", "witness = { witness = {} }"))
    home = tmp_path / "home"
    home.mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "regtune", "run", "witness.toml", "--plugin", "witness_plugin"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"HOME": str(home)},
    )  # fmt: skip
    assert result.returncode == 1, "an arm failed whole"
    (tmp_path / "plain.toml").write_text(SWEEP)
    splits = load_data(Sweep.read(tmp_path / "plain.toml").arms[0].template)
    assert splits.test is not None
    shown, tested = pictures(tmp_path, "search"), hashes(splits.test)
    assert shown == hashes(splits.train) | hashes(splits.validation)
    assert not shown & tested
    assert pictures(tmp_path, "confirm") == shown | tested
    results = load(tmp_path / "results" / "witness")
    status = Counter(results.trials[["arm", "phase", "status"]].itertuples(index=False, name=None))
    assert status["witness", "search", "ok"] + status["witness", "search", "pruned"] == 4
    assert status["witness", "confirm", "failed"] == 3
    assert status["baseline", "confirm", "ok"] == 3
    assert "pruned" in set(results.trials["status"])
    failed = results.trials[results.trials["status"] == "failed"]
    assert set(failed["message"]) == {"RuntimeError: this process holds the test split (witness_plugin.py:26)"}
    assert set((tmp_path / "niceness").read_text().split()) == {f"{os.nice(0)}"}, "workers run at the driver's niceness"
    beyond = set(results.trials[results.trials["status"] == "pruned"]["epochs"]) - {2}
    assert not beyond, "a pruned trial trains not one epoch beyond its rung"
    assert (
        result.stderr.startswith("regtune: arms whose trials all failed: witness; ") and result.stderr.count("\n") == 1
    )
    assert not re.search(r"\b(ray|tune|warning|info)\b", result.stdout, flags=re.IGNORECASE)
    assert "Better than baseline, this configuration: " in result.stdout
    assert (tmp_path / "results" / "witness" / "table.csv").exists()
    assert not (home / ".ray").exists(), "no token is left in the home directory"

    before = (tmp_path / "results" / "witness" / "log.jsonl").read_bytes()
    again = called("run", "witness.toml", "--plugin", "witness_plugin", folder=tmp_path)
    assert again.returncode == 1, again.stderr
    assert (tmp_path / "results" / "witness" / "log.jsonl").read_bytes() == before


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A sweep on Ray whose driver was killed, and what it and its children listened on before."""

    path: Path
    listened: dict[str, str]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """Stop a driver when a trial has ended, look at its sockets, and kill it."""
    folder = tmp_path_factory.mktemp("cut")
    path, log = folder / "small.toml", folder / "results" / "small" / "log.jsonl"
    path.write_text(UNPRUNED)
    words = [sys.executable, "-m", "regtune", "run", str(path)]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True) as driver:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and not (log.exists() and b'"ended"' in log.read_bytes()):
            time.sleep(0.02)
        driver.send_signal(signal.SIGSTOP)
        listened = listening(descendants(driver.pid)) if SOCKETS.exists() else {}
        driver.send_signal(signal.SIGKILL)
    return Cut(path=path, listened=listened)


@pytest.mark.skipif(not SOCKETS.exists(), reason="needs Linux's /proc")
def test_nothing_of_a_run_listens_beyond_loopback(cut: Cut) -> None:
    assert cut.listened, "Ray's own processes listen"
    beyond = {place for place in cut.listened if not place.startswith(("127.", "::1:", "::ffff:127."))}
    assert not beyond, cut.listened


@pytest.mark.slow
def test_a_driver_killed_on_ray_goes_on_and_ends_as_in_one_process(cut: Cut, tmp_path: Path) -> None:
    path, log = cut.path, cut.path.parent / "results" / "small" / "log.jsonl"
    ended = [json.loads(row) for row in log.read_bytes().splitlines() if b'"ended"' in row]
    assert ended
    done = command("run", str(path), folder=path.parent)
    assert done.returncode == 0, done.stderr
    rows, _ = read_log(log)
    ends = Counter(tuple(row["cell"]) for row in rows if row["event"] == "ended")
    epochs = Counter((*row["cell"], row["epoch"]["number"]) for row in rows if row["event"] == "epoch")
    assert len(ends) == 21
    assert set(ends.values()) == set(epochs.values()) == {1}
    here = run(Sweep.read(path), tmp_path / "here", in_process=True)
    ours, theirs = (untimed(comparison(load(p))) for p in (log.parent, here))
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize(
    "where", [["--in-process"], pytest.param([], marks=pytest.mark.slow)], ids=["in this process", "on Ray"]
)
def test_sigterm_ends_a_run_like_ctrl_c(tmp_path: Path, where: list[str]) -> None:
    path = tmp_path / "small.toml"
    path.write_text(UNPRUNED.replace("seeds = 3", "seeds = 300"))
    log = tmp_path / "results" / "small" / "log.jsonl"
    words = [sys.executable, "-m", "regtune", "run", str(path), *where]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and not (log.exists() and b'"ended"' in log.read_bytes()):
            time.sleep(0.02)
        driver.terminate()
        _, said = driver.communicate(timeout=60)
    assert driver.returncode == 143
    assert said == "regtune: interrupted; finished work is kept, and the same command resumes\n"


@pytest.mark.slow
def test_a_trial_whose_workers_die_is_tried_again_and_then_lost(tmp_path: Path) -> None:
    (tmp_path / "deadly_plugin.py").write_text(
        "import os\nfrom dataclasses import dataclass\nfrom regtune.regularizers import Regularizer\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Deadly(Regularizer):\n"
        '    """Ends its process."""\n\n    def prepare(self, net, data):\n        os._exit(1)\n'
    )
    sweep = SWEEP.replace("mixup = { mixup = {} }", "deadly = { deadly = {} }").replace("trials = 4", "trials = 2")
    (tmp_path / "deadly.toml").write_text(sweep + "[cluster]\nretries = 1\n")
    done = command("run", "deadly.toml", "--plugin", "deadly_plugin", folder=tmp_path)
    assert done.returncode == 1, "an arm failed whole"
    trials = load(tmp_path / "results" / "deadly").trials
    deadly = trials[(trials["arm"] == "deadly") & (trials["phase"] == "search")]
    assert set(deadly["status"]) == {"lost"}
    assert set(deadly["faults"]) == {2}
    assert deadly["message"].iloc[0].startswith("lost to 2 faults of the machine (cluster.retries), the last: ")
    assert set(trials[trials["arm"] == "baseline"]["status"]) <= {"ok", "pruned"}


def test_more_cpus_than_the_machine_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.toml").write_text(SWEEP + "[cluster]\ncpus_per_trial = 1000\n")
    done = called("run", "wide.toml", folder=tmp_path)
    assert done.returncode == 2
    assert "cluster.cpus_per_trial: expected at most" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def refuses_gpus(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 2 and "cluster.gpus_per_trial: expected 0" in done.stderr


def test_a_gpu_that_ray_does_not_see_is_refused_and_ray_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of Ray only what it would answer; the slow test below starts it."""
    (tmp_path / "gpu.toml").write_text(GPU)
    ended = list[str]()
    monkeypatch.setattr(ray, "init", lambda **terms: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append("shutdown"))
    assert refuses_gpus(called("run", "gpu.toml", folder=tmp_path))
    assert ended == ["shutdown"]


@pytest.mark.slow
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gpu.toml").write_text(GPU)
    assert refuses_gpus(command("run", "gpu.toml", folder=tmp_path))
