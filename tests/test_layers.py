"""A sweep file over the one that it includes, and settings by hand above: what comes of them is one sweep."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.execution.ray.package import packaged
from regtune.results.loader import load
from regtune.sweep.layers import layered
from regtune.sweep.sweep import Sweep
from tests.command_line import called

BASE = """
name = "base"
plugins = []
[data]
name = "digits"
train = 200
validation = 397
[network]
name = "mlp"
widths = [8, 8]
residual = true
[optimizer]
learning_rate = { low = 0.001, high = 0.2, log = true }
momentum = 0.9
[training]
epochs = 2
batch = 50
[arms.baseline]
[arms.dropout.dropout]
p_hidden = 0.3
[search]
trials = 2
pruner = "none"
[confirm]
seeds = 0
"""


def written(folder: Path, **files: str) -> Path:
    """Write files by name; return the last."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / f"{name}.toml"


def test_a_file_goes_over_the_one_that_it_includes_setting_by_setting(tmp_path: Path) -> None:
    own = 'include = "base.toml"\n[training]\nepochs = 3\n[arms.mixup.mixup]\n[arms.dropout.dropout]\np_input = 0.1\n'
    flat = BASE.replace("epochs = 2", "epochs = 3").replace('name = "base"', 'name = "own"', 1)
    flat = flat.replace("p_hidden = 0.3", "p_hidden = 0.3\np_input = 0.1\n[arms.mixup.mixup]")
    sweep = Sweep.read(written(tmp_path, base=BASE, own=own))
    assert sweep.plain() == Sweep.read(written(tmp_path, flat=flat)).plain()
    assert sweep.name == "own"  # never that of the base: two sweeps on it have two folders
    assert [arm.name for arm in sweep.arms] == ["baseline", "dropout", "mixup"]


def test_a_range_and_what_names_another_thing_stand_alone(tmp_path: Path) -> None:
    own = (
        'include = "base.toml"\n[network]\nname = "convnet"\nchannels = [4]\n'
        "[optimizer]\nlearning_rate = { low = 0.01, high = 0.1 }\n"
    )
    tables = layered(written(tmp_path, base=BASE, own=own))
    assert tables["network"] == {"name": "convnet", "channels": [4]}
    assert tables["optimizer"] == {"learning_rate": {"low": 0.01, "high": 0.1}, "momentum": 0.9}
    adamw = 'include = "base.toml"\n[optimizer]\nname = "adamw"\nlearning_rate = 0.001\n'
    assert layered(written(tmp_path, own=adamw))["optimizer"] == {"name": "adamw", "learning_rate": 0.001}
    same = 'include = "base.toml"\n[network]\nname = "mlp"\nwidths = [4, 4]\n'
    assert layered(written(tmp_path, own=same))["network"] == {"name": "mlp", "widths": [4, 4], "residual": True}


def test_files_include_files_and_all_of_them_go_to_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    written(tmp_path / "common", base=BASE, middle='include = "base.toml"\n[training]\nepochs = 4\n')
    own = written(tmp_path, own='include = "common/middle.toml"\n[training]\nbatch = 25\n')
    sweep = Sweep.read(own)
    assert (sweep.training.epochs, sweep.training.batch) == (4, 25)
    with packaged(sweep, own) as folder:
        assert Sweep.read(folder / "own.toml").plain() == sweep.plain()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('include = "../base.toml"', "include: expected the name of a file beside this one"),
        ('include = "/etc/passwd"', "include: expected the name of a file beside this one"),
        ("include = 3", "include: expected the name of a file beside this one"),
        ('include = "a\\u0000b"', "include a\\x00b: expected a readable file, given embedded null byte"),
        ('include = ""', "include: expected the name of a file beside this one"),
        ('include = "none.toml"', "include none.toml: expected a readable file"),
        ('include = "own.toml"', "include: expected files that do not include each other, given own.toml again"),
        ('include = "other.toml"', "include other.toml: include: expected files that do not include each other"),
        ('include = "bad.toml"', "include bad.toml: expected TOML"),
    ],
)
def test_what_cannot_be_included_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    own = written(tmp_path, other='include = "own.toml"\n', bad="= 3", own=text)
    with pytest.raises(Refused) as error:
        Sweep.read(own)
    assert str(error.value).startswith(f"{own}: {said}")


def test_files_without_end_are_refused(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"f{number}.toml").write_text(f'include = "f{number + 1}.toml"\n')
    with pytest.raises(Refused, match="expected at most 20 files that include one another"):
        Sweep.read(tmp_path / "f0.toml")


KEYS = st.from_regex(r"[a-z_]{1,5}(\.[a-z_]{1,5}){0,3}", fullmatch=True)
VALUES = st.sampled_from(["1", "0.5", "1e-3", "true", "'a b'", '"x=y"', "[1, 2]", "{ low = 0.1, high = 1 }", "[[0.5]]"])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, value=VALUES)
def test_a_change_is_a_line_of_toml(tmp_path: Path, key: str, value: str) -> None:
    assert layered(written(tmp_path, empty=""), [f"{key}={value}"]) == tomllib.loads(f"{key} = {value}")


def test_a_change_replaces_one_setting_and_the_last_one_counts(tmp_path: Path) -> None:
    base = written(tmp_path, base=BASE)
    changes = ["training.epochs=5", "optimizer.learning_rate.low=0.01", "network.name=convnet", "training.epochs=6"]
    tables: dict[str, Any] = layered(base, [*changes, 'arms.dropout.dropout."p_hidden"={ low = 0.1, high = 0.2 }'])
    expected = tomllib.loads(BASE)
    expected["training"]["epochs"] = 6
    expected["optimizer"]["learning_rate"]["low"] = 0.01
    expected["network"]["name"] = "convnet"  # of a setting by hand nothing else is meant
    expected["arms"]["dropout"]["dropout"]["p_hidden"] = {"low": 0.1, "high": 0.2}
    assert tables == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("training.epochs", "--set training.epochs: expected PATH=VALUE"),
        ("=3", "--set =3: expected PATH=VALUE"),
        ("a..b=3", "--set a..b=3: expected PATH=VALUE"),
        ("a = 1\nb=3", "--set a = 1\\nb=3: expected a TOML value"),
        ("training.epochs=1\nseed = 2", "--set training.epochs=1\\nseed = 2: expected a TOML value"),
        ("include=base.toml", "--set include=base.toml: expected a setting, given a file"),
        ("training.epochs=two words", "expected a TOML value"),
        ("training.epochs.more=1", "expected a table at training.epochs, given 2"),
        ("training.epoch=1", "training.epoch: unknown setting (did you mean 'epochs'?)"),
        ("training.epochs=many", "training.epochs: expected a valid integer, given 'many'"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(Refused) as error:
        Sweep.read(written(tmp_path, base=BASE), changes=[change])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_commands_take_changes(tmp_path: Path) -> None:
    own = written(tmp_path, base=BASE, own='include = "base.toml"\n')
    words = ["--set", "search.trials=3", "--set", "name=changed"]
    for command in (("plan",), ("check",), ("run", "--in-process", "--results", tmp_path)):
        ended = called(*command, own, *words, folder=tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "")
    trials = load(tmp_path / "changed").trials
    assert list(trials[trials["phase"] == "search"]["number"]) == [0, 1, 2] * 2
