"""A bad sweep file is refused in one line: file, path in it, what is expected, what is given, the nearest name."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.conftest import METHODS

# A file without a mistake, each line as the cases want it; what ships may change without them.
GOOD = """
[data]
name = "digits"
train = 200
validation = 397

[network]
name = "mlp"
widths = [64, 64, 64]
residual = true

[optimizer]
name = "sgd"
learning_rate = { low = 0.001, high = 0.2, log = true }
momentum = 0.9

[training]
epochs = 30
batch = 20

[arms]
baseline = {}
dropout = { dropout = {} }
max_norm = { max_norm = {} }
dropout_max_norm = { dropout = {}, max_norm = {} }
l2 = { l2 = {} }
l1 = { l1 = {} }
label_smoothing = { label_smoothing = {} }
mixup = { mixup = {} }
early_stopping = { early_stopping = {} }
stochastic_depth = { stochastic_depth = {} }

[search]
trials = 10
grace = 0.2
factor = 3
population = 3

[confirm]
seeds = 15
"""
RATE = "{ low = 0.001, high = 0.2, log = true }"

# What is replaced, by what, and what the line must say in this order.
BAD: dict[str, tuple[str, str, list[str]]] = {
    "regularizer": (
        "{ dropout = {} }\n",
        "{ dropuot = {} }\n",
        ["arms.dropout", "regularizer", "dropuot", "'dropout'"],
    ),
    "regularizer-far": ("{ l1 = {} }", "{ zzz = {} }", ["arms.l1", "'zzz'", "one of: ", "dropout, ", " more"]),
    "knob": ("{ mixup = {} }", "{ mixup = { alhpa = 1 } }", ["arms.mixup.mixup", "knob", "'alhpa'", "'alpha'"]),
    "optimizer-knob": ("momentum", "momentun", ["optimizer", "knob", "'momentun'", "'momentum'"]),
    "data": ('"digits"', '"digit"', ["data.name", "data set", "'digit'", "'digits'"]),
    "network": ('"mlp"', '"mpl"', ["network.name", "network", "'mpl'", "'mlp'"]),
    "optimizer": ('"sgd"', '"sdg"', ["optimizer.name", "optimizer", "'sdg'", "'sgd'"]),
    "sampler": ("trials = 10", 'trials = 10\nsampler = "tpf"', ["search.sampler", "sampler 'tpf'", "'tpe'"]),
    "pruner": (
        "trials = 10",
        'trials = 10\npruner = "ahsa"',
        ["search.pruner", "unknown pruner 'ahsa'", "did you mean 'asha'?"],
    ),
    "pruner-as-it-was": ("trials = 10", "trials = 10\nprune = false", ["search.prune", "unknown", "'pruner'"]),
    "stop-after-nothing": ("trials = 10", 'trials = 10\npruner = "epochs"', ["search.stop_after", "given nothing"]),
    "stop-after-alone": (
        "trials = 10",
        "trials = 10\nstop_after = 3",
        ["search.stop_after", "only there", '"cautious"'],
    ),
    "stop-after-the-end": (
        "trials = 10",
        'trials = 10\npruner = "epochs"\nstop_after = 31',
        ["search.stop_after", "[1, 30]", "given 31"],
    ),
    "stop-after-0": ("trials = 10", 'trials = 10\npruner = "epochs"\nstop_after = 0', ["search.stop_after", "given 0"]),
    "levels": ("trials = 10", "trials = 10\nlevels = 1", ["search.levels", "2", "given 1"]),
    "dtype": ("batch = 20", 'batch = 20\ndtype = "float"', ["training.dtype", "float32", "float64", "given 'float'"]),
    "setting": ("[data]", "seeed = 1\n[data]", ["seeed", "unknown setting", "'seed'"]),
    "data-setting": ("train = 200", "trian = 200", ["data", "unknown setting", "'trian'", "'train'"]),
    "network-setting": ("widths", "width", ["network", "unknown setting", "'width'", "'widths'"]),
    "training-setting": ("epochs = 30", "epoch = 30", ["training.epoch", "unknown setting", "'epochs'"]),
    "section": ("[training]", "[trainning]", ["trainning", "unknown setting", "'training'"]),
    "search-setting": ("grace", "grase", ["search.grase", "unknown setting", "'grace'"]),
    "confirm-setting": ("seeds", "seed", ["confirm.seed", "unknown setting", "'seeds'"]),
    "cluster-setting": ("[confirm]", "[cluster]\ncpus = 1\n[confirm]", ["cluster.cpus", "unknown", "cpus_per_trial"]),
    "setting-of-two-lines": ("[data]", '"a\\nb" = 1\n[data]', ["unknown setting"]),
    "range": ("momentum = 0.9", "momentum = 1.0", ["optimizer.momentum", "[0, 1)", "given 1.0"]),
    "range-of-whole": ("train = 200", "train = 5", ["data.train", "[10, 1700]", "given 5"]),
    "range-of-epochs": ("epochs = 30", "epochs = 0", ["training.epochs", "1", "given 0"]),
    "range-in-list": ("[64, 64, 64]", "[64, 0]", ["network.widths[1]", "[1, 1000000]", "given 0"]),
    "no-list": ("[64, 64, 64]", "64", ["network.widths", "a list of whole numbers", "given 64"]),
    "range-low": ("low = 0.001", "low = -1", ["optimizer.learning_rate.low", "(0, 1000]", "given -1"]),
    "range-ends": ("high = 0.2", "high = 0.0001", ["optimizer.learning_rate", "low < high", "low=0.001", "0.0001"]),
    "range-half": (RATE, "{ low = 0.1 }", ["optimizer.learning_rate", "low and high", "given ['low']"]),
    "range-word": ("log = true", "logg = true", ["optimizer.learning_rate", "'logg'", "'log'"]),
    "step-tiny": (RATE, "{ low = 0.1, high = 0.2, step = 1e-40 }", ["optimizer.learning_rate.step", "given 1e-40"]),
    "inf": ("momentum = 0.9", "momentum = inf", ["optimizer.momentum", "a number", "given inf"]),
    "inf-search": ("factor = 3", "factor = inf", ["search.factor", "finite number", "given inf"]),
    "nan": ("momentum = 0.9", "momentum = nan", ["optimizer.momentum", "a number", "given nan"]),
    "nan-search": ("grace = 0.2", "grace = nan", ["search.grace", "finite number", "given nan"]),
    "big": ("momentum = 0.9", f"momentum = {10**30}", ["optimizer.momentum", "[0, 1)", f"given {10**30}"]),
    "big-epochs": ("epochs = 30", f"epochs = {10**30}", ["training.epochs", "1000000", f"given {10**30}"]),
    "bigger": ("momentum = 0.9", f"momentum = {10**400}", ["optimizer.momentum", "[0, 1)", "given 10000"]),
    "bigger-train": ("train = 200", f"train = {10**400}", ["data.train", "[10, 1700]", "given 10000"]),
    "digits": ("epochs = 30", "epochs = 1" + "0" * 5000, ["number"]),
    "hexadecimal": ("epochs = 30", "epochs = 0x" + "f" * 5000, ["training.epochs", "given"]),
    "hexadecimal-name": ('"digits"', "0x" + "f" * 5000, ["data.name", "data set"]),
    "date": ("epochs = 30", "epochs = 2024-01-01", ["training.epochs", "integer", "2024"]),
    "date-knob": ("momentum = 0.9", "momentum = 2024-01-01", ["optimizer.momentum", "a number", "2024"]),
    "boolean": ("epochs = 30", "epochs = true", ["training.epochs", "integer", "given True"]),
    "boolean-knob": ("momentum = 0.9", "momentum = true", ["optimizer.momentum", "a number", "given True"]),
    "nesting": ("train = 200", "train = " + "[" * 20_000, ["nested"]),
    "nesting-closed": ("train = 200", "train = " + "[" * 20_000 + "]" * 20_000, ["nested"]),
    "nesting-of-keys": ("train = 200", "train" + ".a" * 3000 + " = 1", ["data.train", "whole number", "given"]),
    "no-arms": (
        GOOD[GOOD.index("baseline") : GOOD.index("[search]")],
        "",
        ["arms", "one arm", "none"],
    ),
    "arm-name": ("baseline =", '"a b" =', ["arms", "letters", "'a b'"]),
    "arm-no-table": ("baseline = {}", "baseline = 3", ["arms.baseline", "table", "given 3"]),
    "method-no-table": ("{ l1 = {} }", "{ l1 = 0.1 }", ["arms.l1.l1", "table", "given 0.1"]),
    "base-regularizer": ("[arms]", "[base]\ndropuot = {}\n[arms]", ["base", "regularizer 'dropuot'", "'dropout'"]),
    "base-knob": ("[arms]", "[base]\nl2 = { x = 1 }\n[arms]", ["base.l2", "knob 'x'", "strength"]),
    "base-twice": ("[arms]", "[base]\nl2 = {}\n[arms]", ["arms.l2.l2", "base"]),
    "toml": ("epochs = 30", "epochs =", ["TOML", "line 18"]),
    "toml-twice": ("epochs = 30", "epochs = 30\nepochs = 31", ["TOML", "line 19"]),
    "no-data-name": ('name = "digits"', "", ["data.name", "data set", "digits"]),
    "no-epochs": ("epochs = 30", "", ["training.epochs", "expected", "given nothing"]),
    "no-trials": ("trials = 10", "", ["search", "trials", "trials_per_knob", "none"]),
    "both-trials": ("trials = 10", "trials = 10\ntrials_per_knob = 5", ["search", "trials", "trials_per_knob", "both"]),
    "plugin": ("[data]", 'plugins = ["not_there"]\n[data]', ["plugin", "not_there", "no module"]),
    "plugin-of-two-lines": ("[data]", 'plugins = ["a\\nb"]\n[data]', ["plugin", "no module"]),
    "plugin-number": ("[data]", "plugins = [3]\n[data]", ["plugins", "string", "given 3"]),
}


def refusal(path: Path) -> str:
    """Return the one line with which a file is refused, without the file's name in front."""
    with pytest.raises(Refused) as caught:
        Sweep.read(path)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def in_order(line: str, words: list[str]) -> bool:
    place = 0
    for word in words:
        place = line.find(word, place)
        if place < 0:
            return False
        place += len(word)
    return True


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_that_says_where_what_and_what_else(case: str, tmp_path: Path) -> None:
    old, new, words = BAD[case]
    assert old in GOOD
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(old, new, 1))
    line = refusal(file)
    assert in_order(line, words), line
    assert len(line) < 300


@pytest.mark.parametrize("section", ["data", "network", "optimizer", "training", "arms"])
def test_a_missing_section_is_named(section: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(written({name: table for name, table in tomllib.loads(GOOD).items() if name != section}))
    assert refusal(file).startswith(f"{section}: expected")


def test_no_trial_is_searched_on_a_seed_that_is_kept_for_confirm(tmp_path: Path) -> None:
    optimizer = {"momentum": {"low": 0.1, "high": 0.9}, "nesterov": [True, False]}
    arms: dict[str, Any] = {"all": {name: {} for name in METHODS}}
    file = tmp_path / "large.toml"
    file.write_text(written(RAW | {"optimizer": optimizer, "arms": arms, "search": {"trials_per_knob": 1000}}))
    try:
        sweep = Sweep.read(file)
    except Refused as error:
        assert "trials_per_knob" in str(error)
    else:
        assert sweep.search_seed(sweep.budget(sweep.arms[0]) - 1) < sweep.confirm_seed(0)


@pytest.mark.parametrize("content", [b"\xff[data]", b"[data]\nname = '\xe9'", b"", b"\0"])
def test_a_file_that_is_no_sweep_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    assert ("UTF-8" in refusal(file)) == (content not in (b"", b"\0"))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "not_there.toml")
    assert "directory" in refusal(tmp_path)
    assert "directory" in refusal(Path(__file__) / "below.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GOOD)
    file.chmod(0)
    assert "Permission denied" in refusal(file)


@pytest.mark.parametrize("case", ["regularizer", "big", "toml"])
def test_the_command_line_prints_the_line_and_exits_with_2(case: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(*BAD[case][:2], 1))
    done = called("check", file, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"regtune: {file}: {refusal(file)}\n"


def written(value: Any, *, top: bool = True) -> str:
    """Return a value as TOML: the whole file as `key = value` lines, tables below as inline tables."""
    if isinstance(value, dict):
        pairs = [f"{written(str(key), top=False)} = {written(item, top=False)}" for key, item in value.items()]
        return "\n".join(pairs) if top else "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item, top=False) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every table, list and leaf below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield (*path, key)
        yield from places(item, (*path, key))


RAW = tomllib.loads(GOOD)
RAW["arms"]["cocktail"] = {
    "dropout": {"switch": True, "p_input": 0.1},
    "mixing": {"one_of": {"mixup": {"alpha": 0.2}, "label_smoothing": {}}, "none": False},
}
WORDS = st.sampled_from(
    [
        "low",
        "high",
        "log",
        "step",
        "off",
        "name",
        "c",
        "alpha",
        "dropout",
        "mlp",
        "base",
        "cluster",
        "switch",
        "one_of",
        "none",
    ]
)
LEAVES = (
    st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes() | st.times() | st.text(max_size=9) | WORDS
)
EXTREMES = st.sampled_from([10**30, 10**400, -(10**400), 1e-40, 5e-324, 1e308, float("inf"), "a\nb"])
RANGES = st.fixed_dictionaries(
    {"low": st.floats(0, 1) | st.integers(0, 9), "high": st.floats(0, 1) | st.integers(0, 99)},
    optional={"log": st.booleans(), "step": st.floats(0, 1) | st.integers(0, 9) | EXTREMES},
)
NESTED = st.recursive(
    LEAVES | EXTREMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
VALUES = st.sampled_from([EXTREMES, RANGES, NESTED]).flatmap(lambda strategy: strategy)  # equally often
CHANGES = st.sampled_from(["replace", "drop", "add"])


@given(place=st.sampled_from(list(places(RAW))), value=VALUES, how=CHANGES, key=WORDS | st.text(max_size=5))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_one_place_is_read_or_refused_in_one_line(
    place: tuple[Any, ...], value: Any, how: str, key: str, tmp_path: Path
) -> None:
    raw = deepcopy(RAW)
    table: Any = raw
    for step in place[:-1]:
        table = table[step]
    if how == "drop":
        del table[place[-1]]
    elif how == "add" and isinstance(table, dict):
        table[key] = value
    else:
        table[place[-1]] = value
    file = tmp_path / "sweep.toml"
    file.write_text(written(raw), encoding="utf-8", newline="\n")
    read_or_refused(file)


@given(content=st.binary(max_size=200) | st.text(max_size=50).map(lambda text: (GOOD + text).encode()))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(content)
    read_or_refused(file)


def read_or_refused(file: Path) -> None:
    try:
        assert Sweep.read(file).arms
    except Refused as error:
        assert len(str(error).splitlines()) == 1 and str(error).startswith(f"{file}: ")


def test_the_writer_of_these_tests_writes_what_toml_reads() -> None:
    extra = {"x": [1, 1e16, True, 'a\n\x7f"é', {"b": datetime(2024, 1, 1, 2), "c": [time(3), date(2024, 1, 1)]}]}
    assert tomllib.loads(written(RAW | extra)) == RAW | extra
