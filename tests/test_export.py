"""An exported network is the one that was tested: the same accuracy and loss, digit for digit."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from regtune import load_network
from regtune.__main__ import app
from regtune.core.errors import Refused
from regtune.core.records import Outcome, Trial, TrialKey
from regtune.data import DataLocation, pixels
from regtune.execution.export import export
from regtune.execution.reproduce import recorded_epochs
from regtune.results.loader import Results, load
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.log import read_log
from regtune.training.build import load_data
from regtune.training.trainer import Training, train
from tests.command_line import called
from tests.conftest import write_log
from tests.resuming import SMALL, by_key, ran, trained_epochs

KEPT = (
    SMALL.replace("weights = false", "")
    .replace("trials = 2", "trials = 1")
    .replace("seeds = 2", "seeds = 3")
    .replace("widths = [12]", "widths = [12, 12, 12]\nresidual = true")
)
ARMS = """baseline = {}
dropout-at-test = { dropout = { scaling = "test", p_hidden = 0.6, p_input = 0.3 } }
depth = { stochastic_depth = { scaling = "test", p_last = 0.2 } }
ema = { ema = { decay = 0.9 } }
stopped = { early_stopping = { patience = 1, every = 1 } }
"""
BENT = KEPT.replace("baseline = {}\ndropout = { dropout = {} }\n", ARMS)
NORMED = (
    BENT.replace(ARMS, "baseline = {}\nema = { ema = {} }\n")
    .replace('name = "mlp"\nwidths = [12, 12, 12]\nresidual = true', 'name = "batch_norm_net"')
    .replace("[data]", 'plugins = ["tests.plugin_things"]\n[data]', 1)
    .replace("batch = 16", 'batch = 16\ndtype = "float64"')
)
TWICE = KEPT.replace("seeds = 3", 'seeds = 1\nretrain = "epochs"')


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load(ran(tmp_path_factory.mktemp("bent"), BENT).parent)


def measured(results: Results, key: TrialKey, weights: Path) -> tuple[float, float]:
    """Return test accuracy and loss of an exported network, as its user would compute them."""
    test = load_data(Trial.from_plain(results.plain_trials[key])).test
    assert test is not None
    net, right, loss = load_network(weights), 0, 0.0
    dtype = next(net.parameters()).dtype
    for images, labels in test.batches(256).labelled():
        logits = net(pixels(images, dtype)).detach().double()
        right += int((logits.argmax(-1) == labels).sum())
        loss -= logits.log_softmax(-1).gather(-1, labels[:, None]).sum().item()
    return right / len(test), loss / len(test)


def recorded(results: Results, key: TrialKey) -> tuple[float, float]:
    row = by_key(results)[key]
    return row["test_accuracy"], row["test_loss"]


@pytest.mark.parametrize("arm", ["baseline", "dropout-at-test", "depth", "ema", "stopped"])
def test_an_exported_network_has_the_recorded_test_accuracy_and_loss(
    results: Results, arm: str, tmp_path: Path
) -> None:
    for number in range(3):
        weights, _ = export(results, arm, number, tmp_path / str(number))
        key = TrialKey(arm, "confirm", number)
        assert measured(results, key, weights) == recorded(results, key)


@pytest.mark.parametrize("text", [pytest.param(NORMED, id="norm-and-float64"), pytest.param(TWICE, id="retrained")])
def test_networks_of_other_kinds_have_theirs(text: str, tmp_path: Path) -> None:
    results = load(ran(tmp_path, text).parent)
    for arm in results.sweep.arms:
        weights, _ = export(results, arm, 0, tmp_path)
        key = TrialKey(arm, "confirm", 0)
        assert measured(results, key, weights) == recorded(results, key)


def test_what_a_recipe_does_in_evaluation_is_part_of_the_network(results: Results, tmp_path: Path) -> None:
    """Without it the logits are others: the numbers above do not agree by chance."""
    pictures = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for arm, bends in (("baseline", False), ("dropout-at-test", True), ("depth", True)):
        exported = load_network(export(results, arm, 0, tmp_path)[0])
        plain = exported.net(pictures, lambda signal, slot: signal)
        assert torch.equal(exported(pictures), plain) != bends
        assert not exported.net.training


def test_what_it_says_of_a_picture_depends_on_no_neighbour(results: Results, tmp_path: Path) -> None:
    net = load_network(export(results, "depth", 0, tmp_path)[0])
    pictures = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(net(pictures)[2:3], net(pictures[2:3]))


def test_the_script_loads_it_in_a_process_of_its_own(results: Results, tmp_path: Path) -> None:
    weights, script = export(results, "dropout-at-test", 1, tmp_path)
    assert (weights.name, script.name) == ("dropout-at-test.pt", "load_dropout_at_test.py")
    test, _ = recorded(results, TrialKey("dropout-at-test", "confirm", 1))
    assert f"dropout-at-test/confirm/1 of the sweep small: kept epoch 4, test accuracy {test}." in script.read_text()
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = load_network(weights)(torch.zeros(1, 1, 4, 4)).softmax(-1)
    assert done.stdout == f"{shown}\n"


def test_the_best_by_validation_is_taken_and_test_is_not_looked_at(results: Results, tmp_path: Path) -> None:
    changed = results.trials.copy()
    mine = (changed["arm"] == "baseline") & (changed["phase"] == "confirm")
    changed.loc[mine, "val_accuracy"] = [0.5, 0.7, 0.7]
    changed.loc[mine, "val_loss"] = [0.1, 0.9, 0.8]
    changed.loc[mine, "test_accuracy"] = [0.9, 0.8, 0.1]
    kept = Results(**(vars(results) | {"trials": changed}))
    _, script = export(kept, "baseline", None, tmp_path)
    assert "baseline/confirm/2 of" in script.read_text()
    changed.loc[mine, "val_loss"] = [0.1, 0.8, 0.8]
    _, script = export(kept, "baseline", None, tmp_path)
    assert "baseline/confirm/1 of" in script.read_text()
    _, script = export(kept, "baseline", 0, tmp_path)
    assert "baseline/confirm/0 of" in script.read_text()


def test_the_command_writes_both_files(results: Results, tmp_path: Path) -> None:
    to = tmp_path / "new" / "folder"
    done = CliRunner().invoke(app, ["export", str(results.path), "--arm", "ema", "--number", "2", "--to", str(to)])
    assert done.output == f"wrote {to}/ema.pt\nwrote {to}/load_ema.py\n"
    assert sorted(path.name for path in to.iterdir()) == ["ema.pt", "load_ema.py"]


def refusal(*words: str) -> str:
    """Return what the command refuses with, one line."""
    error = CliRunner().invoke(app, ["export", *words]).exception
    assert isinstance(error, Refused)
    assert len(str(error).splitlines()) == 1
    return str(error)


def test_an_arm_or_number_that_is_not_there_is_refused(results: Results, tmp_path: Path) -> None:
    said = refusal(str(results.path), "--arm", "basline", "--to", str(tmp_path))
    assert said == "arm: unknown arm 'basline' (did you mean 'baseline'?)"
    said = refusal(str(results.path), "--arm", "baseline", "--number", "3", "--to", str(tmp_path))
    assert said.startswith("arm baseline: expected a confirmed trial of number 3 that ended ok, given none in ")
    assert refusal(str(tmp_path / "nowhere"), "--arm", "baseline").endswith("given No such file or directory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [pytest.param(BENT, id="once"), pytest.param(TWICE, id="retrained")])
def test_weights_that_are_not_kept_are_trained_again_bit_for_bit(
    text: str, results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = results if text == BENT else load(ran(tmp_path, text).parent)
    here, said = Results(**(vars(kept) | {"path": tmp_path / "bare"})), list[str]()
    here.path.mkdir()
    shutil.copy(kept.path / "log.jsonl", here.path)
    arm = "ema" if text == BENT else "dropout"
    count = len(recorded_epochs(kept, TrialKey(arm, "confirm", 0)).epochs)
    one, script = export(kept, arm, 0, tmp_path / "one")
    with trained_epochs(monkeypatch) as trained:
        other, same = export(here, arm, 0, tmp_path / "other", say=said.append)
    assert len(trained) == count
    assert said == [
        f"{arm}/confirm/0: its weights are not kept; it is trained again from its row in the log, {count} epochs"
    ]
    assert other.read_bytes() == one.read_bytes() and same.read_text() == script.read_text()


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    log = ran(tmp_path, KEPT.replace("[cluster]", "weights = false\n[cluster]"))
    assert not (log.parent / "weights").exists()
    done = called("export", "small", "--arm", "baseline", "--number", "1", "--to", "to", folder=tmp_path)
    assert done.returncode == 0 and done.stdout == "wrote to/baseline.pt\nwrote to/load_baseline.py\n"
    assert done.stderr == (
        "regtune: baseline/confirm/1: its weights are not kept; it is trained again from its row in the log, 4 epochs\n"
    )
    assert not (log.parent / "weights").exists()


def test_a_training_that_gives_other_numbers_than_the_log_is_said_and_what_it_gives_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another machine, or after the data have changed: here the log is another."""
    log = ran(tmp_path, KEPT.replace("[cluster]", "weights = false\n[cluster]"))
    rows, _ = read_log(log)
    mine = [row for row in rows if row.get("cell") == ["baseline", "confirm", 0]]
    test = mine[-1]["outcome"]["metrics"]["test_accuracy"]
    next(row for row in mine if row["event"] == "epoch")["epoch"]["val_loss"] = 0.5
    mine[-1]["outcome"]["metrics"]["test_accuracy"] = 0.125
    write_log(log, rows)
    words = "weights of another training than the log's: 1 numbers differ, although software and processor are the same"
    with pytest.warns(
        UserWarning, match=rf"^baseline/confirm/0: these are {words}; the first is epoch 1 val_loss: 0\.5"
    ):
        _, script = export(load(log.parent), "baseline", 0, tmp_path / "to")
    assert f"test accuracy {test}." in script.read_text() and test != 0.125
    for row in rows:
        if row["event"] == "header":
            row["packages"]["torch"] = "1.0"
    for row in mine:
        if row["event"] == "started":
            row["where"]["torch"] = "1.0"
    write_log(log, rows)
    with pytest.warns(UserWarning, match=r"which is no surprise, because torch was 1\.0, is "):
        export(load(log.parent), "baseline", 0, tmp_path / "to")
    first = next(train(Trial.from_plain(mine[0]["trial"])))
    epochs = iter([dataclasses.replace(first, outcome=Outcome(status="diverged"))])
    monkeypatch.setattr(Training, "__next__", lambda self: next(epochs))
    with pytest.raises(Refused, match=r"^baseline/confirm/0: expected a training that ends ok, .* ended diverged"):
        export(load(log.parent), "baseline", 0, tmp_path / "to")


def test_without_its_data_no_trial_is_trained_again(tmp_path: Path) -> None:
    x, y = torch.rand(60, 4, 4).numpy(), (torch.arange(60) % 3).numpy()
    np.savez(tmp_path / "own.npz", x=x, y=y)
    text = KEPT.replace('"synthetic"', '"npz"\npath = "own.npz"').replace(
        "train = 48\nvalidation = 32", "validation = 9"
    )
    text = text.replace("test = 37\nnoise = 0.6\n", "").replace("[cluster]", "weights = false\n[cluster]")
    ran(tmp_path, text, place=DataLocation(root=tmp_path))
    words = ("export", "small", "--arm", "baseline", "--to", "to")
    done = called(*words, folder=tmp_path)
    assert done.returncode == 2 and "expected a data folder; set REGTUNE_DATA or --data" in done.stderr
    assert not (tmp_path / "to").exists()
    assert called(*words, "--data", ".", folder=tmp_path).returncode == 0


def test_weights_of_another_choice_are_none_and_damaged_ones_are_refused(results: Results, tmp_path: Path) -> None:
    key = TrialKey("baseline", "confirm", 0)
    saved = Checkpoints(results.path / "weights").load(key)
    assert saved is not None
    here = Results(**(vars(results) | {"path": tmp_path}))
    folder = Checkpoints(tmp_path / "weights")
    folder.save(key, type(saved)(id="another", epoch=saved.epoch, content=saved.content))
    shutil.copy(results.path / "log.jsonl", tmp_path)
    said = list[str]()
    export(here, "baseline", 0, tmp_path / "to", say=said.append)
    assert len(said) == 1 and "its weights are not kept" in said[0]
    folder.save(key, saved)
    content = bytearray(folder.path(key).read_bytes())
    content[-1] ^= 1
    folder.path(key).write_bytes(content)
    with pytest.raises(Refused, match=r"expected bytes .*; delete the file, and its trial is trained again$"):
        export(here, "baseline", 0, tmp_path / "to")


@pytest.mark.parametrize("content", [None, b"", b"no weights", b"PK\x03\x04"])
def test_a_file_that_is_no_export_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refused, match=r"net\.pt: expected a file of regtune export, given") as caught:
        load_network(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_foreign_file_of_torch_is_refused(tmp_path: Path) -> None:
    torch.save({"params": {}}, tmp_path / "net.pt")
    with pytest.raises(Refused, match="expected a file of regtune export, given another"):
        load_network(tmp_path / "net.pt")
