"""Trackers beside a sweep: they get every trial once, whenever it was interrupted, and change and end nothing."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.run import run
from regtune.execution.tracking import tracked
from regtune.results.loader import Results, load
from regtune.storage.layout import LOG
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.trackers import TRACKERS
from tests.command_line import called
from tests.resuming import SMALL, Stopped, read

PLUGIN = 'plugins = ["tests.plugin_trackers"]\n'
BARE = SMALL.replace("trials = 2", "trials = 1").replace("seeds = 2", "seeds = 1").replace("epochs = 4", "epochs = 2")


def track(sweep: Sweep, results: Path, name: str, *, stop_after: int | None = None) -> Results:
    """Run a sweep with a tracker, until so many new epochs; return its results."""
    new = 0

    def watch(event: str, row: Json) -> None:
        nonlocal new
        new += event == "epoch" and "time" not in row
        if new == stop_after:
            raise Stopped

    with tracked(sweep, results, [name], watch) as watching:
        run(sweep, results, watch=watching, in_process=True)
    return load(sweep.folder(results))


def trials_of(results: Results) -> dict[str, tuple[str, dict[str, Any], list[float]]]:
    """Return by key the status, the knobs and the validation accuracies of each trial."""
    found = {}
    for row in results.trials.to_dict("records"):
        key = f"{row['arm']}/{row['phase']}/{row['number']}"
        epochs = results.epochs
        for column in ("arm", "phase", "number"):
            epochs = epochs[epochs[column] == row[column]]
        found[key] = (row["status"], row["params"], [float(each) for each in epochs["val_accuracy"]])
    return found


@pytest.mark.parametrize("stop_after", [1, 4, 9, 14, 22])
def test_a_tracker_gets_every_trial_once_however_often_the_sweep_is_interrupted(
    tmp_path: Path, stop_after: int
) -> None:
    sweep = read(tmp_path, PLUGIN + SMALL)
    with pytest.raises(Stopped):
        track(sweep, tmp_path, "recorded", stop_after=stop_after)
    results = track(sweep, tmp_path, "recorded")
    lines = [json.loads(line) for line in (tmp_path / "small" / "recorded.jsonl").read_text().splitlines()]
    keys = {line[1]: line[2] for line in lines if line[0] == "begin"}
    knobs = {line[1]: line[3] for line in lines if line[0] == "begin"}
    ends = {line[1]: line[2] for line in lines if line[0] == "end"}  # the last counts: one may have been interrupted
    epochs: dict[str, dict[int, float]] = {uid: {} for uid in keys}
    for line in lines:
        if line[0] == "begin":
            epochs[line[1]].clear()
        if line[0] == "epoch":
            epochs[line[1]][line[2]] = line[3]["val_accuracy"]
    told = {keys[uid]: (ends[uid], knobs[uid], [epochs[uid][n] for n in sorted(epochs[uid])]) for uid in keys}
    assert told == trials_of(results)
    (table,) = [line for line in lines if line[0] == "table"]
    assert "dropout" in table[2]
    assert table[3] == 2


def test_a_sweep_with_a_tracker_is_the_same_sweep(tmp_path: Path) -> None:
    sweep = read(tmp_path, PLUGIN + BARE)
    run(sweep, tmp_path / "without", in_process=True)
    track(sweep, tmp_path / "with", "recorded")

    def rows(name: str) -> list[Json]:
        found, _ = read_log(tmp_path / name / "small" / LOG)
        return [{k: v for k, v in row.items() if k not in ("time", "host", "pid", "environment")} for row in found]

    def numbers(row: Json) -> Json:
        return {k: v for k, v in row["epoch"].items() if k not in ("seconds", "data_share")} if "epoch" in row else row

    kinds = ("asked", "epoch", "epochs")
    assert [numbers(r) for r in rows("with") if r["event"] in kinds] == [
        numbers(r) for r in rows("without") if r["event"] in kinds
    ]


def test_a_tracker_that_fails_ends_nothing_and_the_next_run_adds_what_is_missing(tmp_path: Path) -> None:
    sweep = read(tmp_path, PLUGIN + BARE)
    with pytest.warns(UserWarning, match="--log-to broken: ConnectionError: the server is away; the sweep goes on"):
        results = track(sweep, tmp_path, "broken")
    assert set(results.trials["status"]) == {"ok"}
    track(sweep, tmp_path, "recorded")
    lines = [json.loads(line) for line in (tmp_path / "small" / "recorded.jsonl").read_text().splitlines()]
    assert len({line[1] for line in lines if line[0] == "begin"}) == len(results.trials)


def test_a_failed_trial_that_is_tried_again_and_interrupted_is_told_from_its_beginning(tmp_path: Path) -> None:
    sweep = read(tmp_path, PLUGIN + BARE)
    told: list[tuple[str, Json]] = []
    key = ["baseline", "search", 0]

    def epochs(*numbers: int, time: bool) -> None:
        for number in numbers:
            row = {"cell": key, "epoch": {"number": number, "stage": "train", "val_accuracy": 0.1 * number}}
            told.append(("epoch", row | ({"time": 1.0} if time else {})))

    def ended(status: str, *, time: bool) -> None:
        row = {"cell": key, "outcome": {"status": status, "metrics": {}}}
        told.append(("ended", row | ({"time": 1.0} if time else {})))

    def tell(*, stopped: bool) -> None:
        with contextlib.suppress(Stopped), tracked(sweep, tmp_path, ["recorded"], lambda event, row: None) as watch:
            for event, row in told:
                watch(event, row)
            raise Stopped  # no log, so no table
        told.clear()

    asked: tuple[str, Json] = ("asked", {"cell": key, "id": "x", "params": {}})
    told.append(asked)
    epochs(1, 2, time=False)
    ended("failed", time=False)
    tell(stopped=False)
    told.append(("asked", asked[1] | {"time": 1.0}))
    epochs(1, 2, time=True)
    ended("failed", time=True)
    epochs(1, time=False)  # tried again, and interrupted
    tell(stopped=True)
    told.append(("asked", asked[1] | {"time": 1.0}))
    epochs(1, 2, time=True)
    ended("failed", time=True)
    epochs(1, time=True)
    epochs(2, time=False)
    ended("ok", time=False)
    tell(stopped=False)
    lines = [json.loads(line) for line in (tmp_path / "small" / "recorded.jsonl").read_text().splitlines()]
    newest = len(lines) - [line[0] for line in reversed(lines)].index("begin")
    assert [line[2] for line in lines[newest:]] == [1, 2, "ok"]


def test_what_cannot_be_written_to_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = read(tmp_path, BARE)
    with pytest.raises(Refused, match="--log-to: unknown tracker 'wandbb' \\(did you mean 'wandb'\\?\\)"):
        track(sweep, tmp_path, "wandbb")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("regtune.trackers._base.importlib.import_module", missing)
    with pytest.raises(Refused, match="--log-to wandb: it takes wandb; pip install 'regtune\\[wandb\\]'"):
        TRACKERS._own["wandb"]("small", tmp_path)
    assert not (tmp_path / "small" / LOG).exists()


def in_tensorboard(folder: Path) -> dict[str, tuple[str, dict[str, Any], list[float]]]:
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for run_folder in (folder / "small" / "tensorboard").glob("*/*/*"):
        status, knobs, scores = "", {}, {}
        for file in sorted(run_folder.glob("events.*")):
            data = file.read_bytes()
            while data:
                length = int.from_bytes(data[:8], "little")
                event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
                for value in event.summary.value:
                    text = value.tensor.string_val[0].decode() if value.tensor.string_val else ""
                    if value.tag.startswith("status"):
                        status = text
                    if value.tag.startswith("knobs"):
                        rows = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
                        knobs = {name: json.loads(number) for name, number in rows}
                    if value.tag == "val_accuracy":
                        scores[event.step] = value.simple_value
        arm, phase, name = run_folder.parts[-3:]
        found[f"{arm}/{phase}/{name.partition('-')[0]}"] = (status, knobs, [scores[n] for n in sorted(scores)])
    return found


def in_mlflow(folder: Path) -> dict[str, tuple[str, dict[str, Any], list[float]]]:
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found = {}
    for each in client.search_runs([experiment.experiment_id]):
        if each.info.run_name == "table":
            assert [file.path for file in client.list_artifacts(each.info.run_id)] == ["table.md"]
            continue
        knobs = {path: json.loads(value) for path, value in each.data.params.items()}
        history = sorted(client.get_metric_history(each.info.run_id, "val_accuracy"), key=lambda metric: metric.step)
        assert each.info.status == "FINISHED"
        found[each.info.run_name] = (each.data.tags["status"], knobs, [metric.value for metric in history])
    return found


def in_wandb(folder: Path) -> dict[str, tuple[str, dict[str, Any], list[float]]]:
    messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")  # which has no types
    found: dict[str, tuple[str, dict[str, Any], dict[int, float]]] = {}
    for file in sorted((folder / "wandb").glob("offline-run-*/run-*.wandb")):
        name, status, knobs, scores = "", "", dict[str, Any](), dict[int, float]()
        for record in map(messages.Record.FromString, records_of(file.read_bytes())):
            if record.run.display_name:
                name = record.run.display_name
                config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
                knobs = {key: value for key, value in config.items() if "." in key}
            for item in record.history.item:
                if (item.key or ".".join(item.nested_key)) == "val_accuracy":
                    scores[record.history.step.num] = json.loads(item.value_json)
            for item in record.summary.update:
                if (item.key or ".".join(item.nested_key)) == "status":
                    status = json.loads(item.value_json)
        if name and name != "table":  # one that was stopped as it began may have no record yet
            found[name] = (status, knobs, (found[name][2] if name in found else {}) | scores)
    return {
        name: (status, knobs, [scores[n] for n in sorted(scores)]) for name, (status, knobs, scores) in found.items()
    }


def records_of(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format: blocks of 32 KiB, of which the first has a header."""
    place, record = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # no room for a head: the next block
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


@pytest.mark.parametrize(
    ("name", "written"), [("tensorboard", in_tensorboard), ("mlflow", in_mlflow), ("wandb", in_wandb)]
)
def test_each_tracker_has_the_trials_of_the_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    written: Callable[[Path], dict[str, tuple[str, dict[str, Any], list[float]]]],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    sweep = read(tmp_path, BARE)
    with pytest.raises(Stopped):
        track(sweep, tmp_path, name, stop_after=3)
    results = track(sweep, tmp_path, name)
    expected = trials_of(results)
    found = written(tmp_path)
    assert found.keys() == expected.keys()
    for key, (status, knobs, scores) in expected.items():
        assert found[key][0] == status
        assert found[key][1] == pytest.approx(knobs)
        assert found[key][2] == pytest.approx(scores)


def test_the_command_writes_to_trackers(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(BARE)
    ended = called("run", "small.toml", "--in-process", "--log-to", "tensorboard", folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    found = in_tensorboard(tmp_path / "results")
    assert pd.Series([status for status, _, _ in found.values()]).eq("ok").all()
    assert len(found) == 4
