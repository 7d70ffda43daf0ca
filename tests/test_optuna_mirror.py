"""A sweep's search can be looked at in an Optuna storage; whatever happens to that, the sweep goes on."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.optuna_mirror import Mirror
from regtune.execution.run import run
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import ASHA, SWEEP


def url_in(folder: Path) -> str:
    return f"sqlite:///{folder}/search.db"


def trials_of(url: str, arm: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name=f"small/{arm}", storage=url).trials


def silent(event: str, row: Json) -> None:
    """Watch nothing."""


def test_every_search_trial_is_in_the_storage_as_the_log_has_it(sweep_file: Path, tmp_path: Path) -> None:
    sweep_file.write_text(ASHA)
    sweep, url, events = Sweep.read(sweep_file), url_in(tmp_path), list[str]()
    watch = Mirror(sweep, url).beside(lambda event, row: events.append(event))
    rows = read_log(run(sweep, tmp_path, watch=watch, in_process=True))[0]
    assert events == [row["event"] for row in rows if "cell" in row], (
        "the other watch saw all but what is about the whole sweep"
    )
    asked = {tuple(row["cell"]): row for row in rows if row["event"] == "asked"}
    ended = {tuple(row["cell"]): row["outcome"] for row in rows if row["event"] == "ended"}
    states = {"ok": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    seen = set()
    for arm in sweep.arms:
        study = optuna.load_study(study_name=f"small/{arm.name}", storage=url)
        assert study.direction is optuna.study.StudyDirection.MAXIMIZE
        assert len(study.trials) == 4
        for trial in study.trials:
            name, phase, number = trial.user_attrs["cell"].split("/")
            key = (name, phase, int(number))
            curve = [row["epoch"]["val_accuracy"] for row in rows if row["event"] == "epoch" and (*row["cell"],) == key]
            assert (name, phase) == (arm.name, "search")
            assert trial.user_attrs["id"] == asked[key]["id"]
            assert trial.params == asked[key]["params"]
            assert trial.distributions == dict(arm.space)
            assert list(trial.intermediate_values.values()) == curve
            assert trial.state is states[ended[key]["status"]]
            assert trial.value == (curve[-1] if trial.state is TrialState.COMPLETE else None)
            seen.add(trial.state)
    assert len(seen) == 2


def test_a_sweep_that_goes_on_adds_what_is_missing_and_nothing_twice(sweep_file: Path, tmp_path: Path) -> None:
    sweep, url = Sweep.read(sweep_file), url_in(tmp_path)
    log = run(sweep, tmp_path, in_process=True)
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole[: len(whole) // 4]))  # killed in the middle of search
    for _ in range(3):
        run(sweep, tmp_path, watch=Mirror(sweep, url).watch, in_process=True)
    for arm in sweep.arms:
        keys = sorted(trial.user_attrs["cell"] for trial in trials_of(url, arm.name))
        assert keys == [f"{arm.name}/search/{number}" for number in range(4)]


def test_the_study_of_another_sweep_is_left_alone(sweep_file: Path, tmp_path: Path) -> None:
    url = url_in(tmp_path)
    Mirror(Sweep.read(sweep_file), url)
    Mirror(Sweep.read(sweep_file), url)
    sweep_file.write_text(SWEEP.replace("epochs = 6", "epochs = 7"))
    with pytest.raises(Refused, match=r"^--optuna-storage: expected .* 'small/baseline' .* another's; name another"):
        Mirror(Sweep.read(sweep_file), url)
    foreign = f"sqlite:///{tmp_path}/foreign.db"
    study = optuna.create_study(storage=foreign, study_name="small/baseline", direction="maximize")
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(Refused, match="another's"):
        Mirror(Sweep.read(sweep_file), foreign)
    assert len(trials_of(foreign, "baseline")) == 1


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/search.db", "nonsense", "nosuch://me:secret@host/db"])
def test_a_storage_that_cannot_be_opened_is_refused_at_the_start_in_one_line(
    url: str, sweep_file: Path, tmp_path: Path
) -> None:
    done = called("run", sweep_file, "--results", tmp_path, "--optuna-storage", url, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("regtune: --optuna-storage: expected a storage that Optuna can open")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr
    assert not (tmp_path / "small").exists()


def test_a_storage_that_fails_for_a_while_loses_no_trial_and_warns_once(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, url, tries = Sweep.read(sweep_file), url_in(tmp_path), list[int]()
    really = optuna.Study.add_trial

    def add(study: optuna.Study, trial: FrozenTrial) -> None:
        tries.append(1)
        if 3 <= len(tries) < 7:
            raise OSError("the disk is\nfull")
        really(study, trial)

    monkeypatch.setattr(optuna.Study, "add_trial", add)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(sweep, tmp_path, watch=Mirror(sweep, url).watch, in_process=True)
    said = [str(warning.message) for warning in caught if "optuna-storage" in str(warning.message)]
    assert len(said) == 1
    assert "mixup/search/0" in said[0] and said[0].endswith("OSError: the disk is full")
    assert {arm.name: len(trials_of(url, arm.name)) for arm in sweep.arms} == {a.name: 4 for a in sweep.arms}


def test_a_storage_that_never_works_again_does_not_end_the_sweep(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(study: optuna.Study, trial: Any) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(optuna.Study, "add_trial", add)
    sweep = Sweep.read(sweep_file)
    with pytest.warns(UserWarning, match="gone"):
        log = run(sweep, tmp_path, watch=Mirror(sweep, url_in(tmp_path)).watch, in_process=True)
    ends = [json.loads(line) for line in log.read_bytes().splitlines() if b'"ended"' in line]
    assert len(ends) == 3 * (4 + 3)
