"""The JSON Schema of sweep files: an editor takes what regtune takes, and marks a misspelt or impossible setting."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonschema
import pytest

from regtune.cli.sweeps import sweep_files
from regtune.core.knobs import knobs
from regtune.core.plugins import find_beside
from regtune.optimizers import OPTIMIZERS
from regtune.regularizers import REGULARIZERS
from regtune.sweep.json_schema import json_schema
from tests.command_line import called

PLAIN: dict[str, Any] = {
    "data": {"name": "digits", "train": 200},
    "network": {"name": "mlp", "widths": [8, 8]},
    "optimizer": {"learning_rate": {"low": 0.01, "high": 0.1, "log": True}},
    "training": {"epochs": 2, "batch": 50},
    "arms": {"baseline": {}, "dropout": {"dropout": {"p_hidden": [0.1, 0.2], "switch": True}, "off": False}},
    "search": {"trials": 3},
}


@pytest.fixture(scope="module")
def accepts() -> Callable[[Any], bool]:
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    return lambda given: bool(validator.is_valid(given))


def changed(path: str, value: Any) -> dict[str, Any]:
    found = deepcopy(PLAIN)
    table: Any = found
    *way, last = path.split(".")
    for name in way:
        table = table.setdefault(name, {})
    table[last] = value
    return found


@pytest.mark.parametrize("path", sweep_files(), ids=lambda path: path.stem)
def test_every_sweep_that_ships_is_one(path: Any, accepts: Callable[[Any], bool]) -> None:
    given = tomllib.loads(path.read_text())
    if "plugins" in given:
        find_beside(given["plugins"], path.parent)
        jsonschema.validate(given, json_schema(tuple(given["plugins"])), jsonschema.Draft7Validator)
    else:
        assert accepts(given)


@pytest.mark.parametrize("name", REGULARIZERS.all())
def test_every_method_is_known_with_its_knobs(name: str, accepts: Callable[[Any], bool]) -> None:
    assert accepts(changed("arms.one", {name: {}}))
    assert accepts(changed("arms.one", {"group": {"one_of": {name: {}}}}))
    assert not accepts(changed("arms.one", {name: {"no_knob": 1}}))
    for knob in knobs(REGULARIZERS.all()[name]).values():
        value = knob.plain(knob.default)
        assert accepts(changed("arms.one", {name: {knob.name: value}}))
        assert accepts(changed("arms.one", {name: {knob.name: [value]}}))


@pytest.mark.parametrize(
    ("path", "value", "good"),
    [
        ("include", "base.toml", True),
        ("optimizer.name", "adamw", True),
        ("optimizer.name", "adam", False),
        ("optimizer.learning_rate", "high", False),
        ("optimizer.learning_rate", {"low": 0.1}, False),
        ("network.name", "mpl", False),
        ("network.widths", [[8], [9]], False),  # of networks nothing is searched
        ("network.depth", 3, False),
        ("arms.dropout.dropout.p_hidden", 1.5, False),
        ("arms.dropout.dropout.p_hidden", {"low": 0.1, "high": 0.5, "lag": True}, False),
        ("arms.dropout.off", 1, False),
        ("base.l2", {"strength": 0.1}, True),
        ("base.off", True, False),
        ("search.sampler", "tpe", True),
        ("search.sampler", "tpee", False),
        ("training.epochs", 0, False),
        ("trainin.epochs", 1, False),
    ],
)
def test_settings_are_marked_where_regtune_would_refuse_them(
    path: str, value: Any, good: bool, accepts: Callable[[Any], bool]
) -> None:
    assert accepts(changed(path, value)) is good


def test_what_a_file_includes_need_not_stand_in_it(accepts: Callable[[Any], bool]) -> None:
    assert accepts({"include": "base.toml"})
    assert not accepts({"seed": 1})
    assert accepts({"include": "base.toml", "network": {"widths": [8]}, "data": {"validation": 30}})
    assert not accepts({"include": "base.toml", "network": {"width_s": [8]}})
    assert not accepts(PLAIN | {"network": {"widths": [8]}})


def test_the_command_prints_it_with_the_things_of_plugins(tmp_path: Any) -> None:
    printed = json.loads(called("schema", "--plugin", "tests.plugin_optimizers", folder=tmp_path).stdout)
    names = [each["properties"]["name"]["const"] for each in printed["properties"]["optimizer"]["anyOf"]]
    assert set(names) == OPTIMIZERS.all(("tests.plugin_optimizers",)).keys() > OPTIMIZERS.all().keys()
